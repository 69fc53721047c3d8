package secure

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Files name what a client shows and trusts. Each may be empty.
type Files struct {
	CA         string // authorities that may have signed the server's certificate; empty trusts the system's
	Cert       string // the certificate that is shown to the server, with those between it and its authority
	Key        string // the key to Cert
	ServerName string // what the server's certificate must be for; empty is the name it is called by
}

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// ClientTLS makes a client's configuration. Its warnings name certificates that
// end within 14 days; now is what they are compared to. The client's certificate
// is read anew for each connection, so that a renewed one needs no restart; while
// its two files do not fit, the last that did are shown.
func ClientTLS(f Files, now time.Time) (c *tls.Config, warnings []string, err error) {
	c = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName}
	if f.CA != "" {
		if c.RootCAs, warnings, err = authorities(f.CA, now); err != nil {
			return nil, nil, fmt.Errorf("tls: %w", err)
		}
	}
	switch {
	case f.Cert == "" && f.Key == "":
		return c, warnings, nil
	case f.Cert == "":
		return nil, nil, fmt.Errorf("tls: there is a key, %s, but no certificate to it", f.Key)
	case f.Key == "":
		return nil, nil, fmt.Errorf("tls: there is a certificate, %s, but no key to it", f.Cert)
	}
	shown, warning, err := pair(f, now)
	if err != nil {
		return nil, nil, fmt.Errorf("tls: %w", err)
	}
	if warning != "" {
		warnings = append(warnings, warning)
	}
	var last atomic.Pointer[tls.Certificate]
	last.Store(shown)
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if renewed, _, err := pair(f, time.Now()); err == nil {
			last.Store(renewed)
		}
		return last.Load(), nil
	}
	return c, warnings, nil
}

// authorities reads the certificates that are trusted. One that has expired among
// others is a warning: a file often holds the old one beside the new.
func authorities(file string, now time.Time) (pool *x509.CertPool, warnings []string, err error) {
	certs, err := certificates(file)
	if err != nil {
		return nil, nil, err
	}
	pool = x509.NewCertPool()
	valid := 0
	for _, c := range certs {
		pool.AddCert(c)
		warning, fault := term(file, c, now)
		switch {
		case fault != nil:
			err = errors.Join(err, fault)
			warnings = append(warnings, fault.Error())
		case warning != "":
			warnings = append(warnings, warning)
			fallthrough
		default:
			valid++
		}
	}
	if valid == 0 {
		return nil, nil, err
	}
	return pool, warnings, nil
}

// pair reads the client's certificate and its key.
func pair(f Files, now time.Time) (c *tls.Certificate, warning string, err error) {
	certs, err := certificates(f.Cert)
	if err != nil {
		return nil, "", err
	}
	if warning, err = term(f.Cert, certs[0], now); err != nil {
		return nil, "", err
	}
	cert, err := os.ReadFile(f.Cert)
	if err != nil {
		return nil, "", err
	}
	key, err := os.ReadFile(f.Key)
	if err != nil {
		return nil, "", err
	}
	switch kind := keyKind(key); kind {
	case "":
		return nil, "", fmt.Errorf("%s holds no key in PEM (-----BEGIN PRIVATE KEY-----)", f.Key)
	case "ENCRYPTED PRIVATE KEY":
		return nil, "", fmt.Errorf("the key in %s is encrypted; store it without a password, readable by its user only", f.Key)
	}
	both, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, "", fmt.Errorf("the key in %s does not go with the certificate in %s: %w", f.Key, f.Cert, err)
	}
	return &both, warning, nil
}

// keyKind is the heading of the first key in a PEM file.
func keyKind(text []byte) string {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return ""
		}
		if bytes.HasSuffix([]byte(block.Type), []byte("PRIVATE KEY")) {
			return block.Type
		}
	}
}

// certificates reads a PEM file with at least one certificate.
func certificates(file string) (certs []*x509.Certificate, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in %s cannot be read: %w", len(certs)+1, file, err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", file)
	}
	return certs, nil
}

// term compares a certificate's time to now.
func term(file string, c *x509.Certificate, now time.Time) (warning string, err error) {
	name := c.Subject.CommonName
	if name == "" {
		name = "serial number " + c.SerialNumber.String()
	}
	switch {
	case now.After(c.NotAfter):
		return "", fmt.Errorf("the certificate of %s in %s expired on %s", name, file, c.NotAfter.UTC().Format(time.DateTime))
	case now.Before(c.NotBefore):
		return "", fmt.Errorf("the certificate of %s in %s is valid only from %s on; is this machine's clock right?", name, file, c.NotBefore.UTC().Format(time.DateTime))
	case c.NotAfter.Sub(now) < soon:
		return fmt.Sprintf("the certificate of %s in %s expires on %s; renew it", name, file, c.NotAfter.UTC().Format(time.DateTime)), nil
	}
	return "", nil
}
