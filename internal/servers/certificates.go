package servers

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificates are the PEM files of a test's own authority and of one server and
// one client it has certified, for 127.0.0.1 and localhost.
type Certificates struct {
	CA                    string // the authority's certificate
	ServerCert, ServerKey string
	ClientCert, ClientKey string

	server string // key and certificate in one file, as Java takes them
}

// MakeCertificates makes an authority, a server and a client, valid for a day, and
// writes them into a directory.
func MakeCertificates(dir string) (c Certificates, err error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	c = Certificates{
		CA: in("ca.pem"), ServerCert: in("server.pem"), ServerKey: in("server-key.pem"),
		ClientCert: in("client.pem"), ClientKey: in("client-key.pem"), server: in("server-both.pem"),
	}
	ca, err := certify("clickagg test authority", nil)
	if err != nil {
		return c, err
	}
	server, err := certify("localhost", ca)
	if err != nil {
		return c, err
	}
	client, err := certify("client", ca)
	if err != nil {
		return c, err
	}
	for file, text := range map[string][]byte{
		c.CA: ca.cert, c.ServerCert: server.cert, c.ServerKey: server.key, c.ClientCert: client.cert, c.ClientKey: client.key,
		c.server: bytes.Join([][]byte{server.key, server.cert, ca.cert}, nil),
	} {
		err = errors.Join(err, os.WriteFile(file, text, 0o600))
	}
	return c, err
}

// Client is a configuration that trusts the authority and shows the client's
// certificate.
func (c Certificates) Client() (*tls.Config, error) {
	ca, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, nil
}

// identity is a certificate with its key, and both in PEM.
type identity struct {
	parsed    *x509.Certificate
	private   *ecdsa.PrivateKey
	cert, key []byte
}

// certify makes an identity, signed by an authority or, if there is none, an
// authority.
func certify(name string, by *identity) (*identity, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	id := &identity{private: private}
	signer := id
	if by == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		id.parsed = template
	} else {
		signer = by
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		template.DNSNames, template.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.parsed, private.Public(), signer.private)
	if err != nil {
		return nil, fmt.Errorf("certify %s: %w", name, err)
	}
	if id.parsed, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	id.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	id.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return id, nil
}
