package secure_test

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clickagg/clickagg/internal/secure"
)

// identity is a certificate and its key.
type identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// certify makes an identity that ends at a time; signed by itself when by is nil.
func certify(t *testing.T, name string, from, until time.Time, by *identity) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	id := &identity{key: key}
	signer := by
	if by == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
		signer = &identity{cert: template, key: key}
	} else {
		template.DNSNames, template.IPAddresses = []string{name}, []net.IP{net.IPv4(127, 0, 0, 1)}
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, key.Public(), signer.key)
	if err != nil {
		t.Fatal(err)
	}
	if id.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return id
}

func (id *identity) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.cert.Raw})
}

func (id *identity) keyPEM(t *testing.T) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

var now = time.Now().Truncate(time.Second)

const day = 24 * time.Hour

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, texts ...[]byte) {
		var all []byte
		for _, text := range texts {
			all = append(all, text...)
		}
		if err := os.WriteFile(in(name), all, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca := certify(t, "the authority", now.Add(-day), now.Add(365*day), nil)
	oldCA := certify(t, "the old authority", now.Add(-400*day), now.Add(-30*day), nil)
	good := certify(t, "good", now.Add(-day), now.Add(90*day), ca)
	other := certify(t, "other", now.Add(-day), now.Add(90*day), ca)
	ends := certify(t, "ends", now.Add(-day), now.Add(13*day), ca)
	ended := certify(t, "ended", now.Add(-90*day), now.Add(-time.Minute), ca)
	future := certify(t, "future", now.Add(time.Hour), now.Add(90*day), ca)
	write("ca", ca.certPEM())
	write("cas", oldCA.certPEM(), ca.certPEM())
	write("old-ca", oldCA.certPEM())
	write("garbage", []byte("no PEM at all"))
	write("broken", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("nothing")}))
	write("locked", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("secret")}))
	for name, id := range map[string]*identity{"good": good, "other": other, "ends": ends, "ended": ended, "future": future} {
		write(name, id.certPEM())
		write(name+"-key", id.keyPEM(t))
	}
	date := func(at time.Time) string { return at.UTC().Format(time.DateTime) }
	for name, c := range map[string]struct {
		files secure.Files
		err   string
		warns string
	}{
		"nothing is the system's":   {},
		"an authority":              {files: secure.Files{CA: in("ca")}},
		"a client":                  {files: secure.Files{CA: in("ca"), Cert: in("good"), Key: in("good-key")}},
		"no authority":              {files: secure.Files{CA: in("none")}, err: "tls: open " + in("none") + ": no such file or directory"},
		"no certificate":            {files: secure.Files{Cert: in("none"), Key: in("good-key")}, err: "tls: open " + in("none") + ": no such file or directory"},
		"no key":                    {files: secure.Files{Cert: in("good"), Key: in("none")}, err: "tls: open " + in("none") + ": no such file or directory"},
		"a certificate alone":       {files: secure.Files{Cert: in("good")}, err: "tls: there is a certificate, " + in("good") + ", but no key to it"},
		"a key alone":               {files: secure.Files{Key: in("good-key")}, err: "tls: there is a key, " + in("good-key") + ", but no certificate to it"},
		"an authority of garbage":   {files: secure.Files{CA: in("garbage")}, err: in("garbage") + " holds no certificate in PEM"},
		"a certificate of garbage":  {files: secure.Files{Cert: in("garbage"), Key: in("good-key")}, err: in("garbage") + " holds no certificate in PEM"},
		"a key of garbage":          {files: secure.Files{Cert: in("good"), Key: in("garbage")}, err: in("garbage") + " holds no key in PEM"},
		"a broken certificate":      {files: secure.Files{CA: in("broken")}, err: "certificate 1 in " + in("broken") + " cannot be read: x509"},
		"another's key":             {files: secure.Files{Cert: in("good"), Key: in("other-key")}, err: "the key in " + in("other-key") + " does not go with the certificate in " + in("good")},
		"files the wrong way round": {files: secure.Files{Cert: in("good-key"), Key: in("good")}, err: in("good-key") + " holds no certificate"},
		"a locked key":              {files: secure.Files{Cert: in("good"), Key: in("locked")}, err: "the key in " + in("locked") + " is encrypted"},
		"expired":                   {files: secure.Files{Cert: in("ended"), Key: in("ended-key")}, err: "the certificate of ended in " + in("ended") + " expired on " + date(now.Add(-time.Minute))},
		"not yet":                   {files: secure.Files{Cert: in("future"), Key: in("future-key")}, err: "valid only from " + date(now.Add(time.Hour)) + " on"},
		"an expired authority":      {files: secure.Files{CA: in("old-ca")}, err: "the certificate of the old authority in " + in("old-ca") + " expired on "},
		"one of two authorities":    {files: secure.Files{CA: in("cas")}, warns: "the certificate of the old authority in " + in("cas") + " expired on "},
		"soon":                      {files: secure.Files{Cert: in("ends"), Key: in("ends-key")}, warns: "the certificate of ends in " + in("ends") + " expires on " + date(now.Add(13*day)) + "; renew it"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			got, warnings, err := secure.ClientTLS(c.files, now)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %q, expected %q", err, c.err)
			}
			if all := strings.Join(warnings, "\n"); (all == "") != (c.warns == "") || !strings.Contains(all, c.warns) {
				t.Errorf("warnings %q, expected %q", all, c.warns)
			}
			if err == nil && (got.MinVersion != tls.VersionTLS12 || got.InsecureSkipVerify) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestRefusal: both sides of each handshake that fails say what to do.
func TestRefusal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := certify(t, "the authority", now.Add(-400*day), now.Add(365*day), nil)
	foreign := certify(t, "a foreign authority", now.Add(-day), now.Add(365*day), nil)
	good := certify(t, "localhost", now.Add(-day), now.Add(90*day), ca)
	ended := certify(t, "localhost", now.Add(-90*day), now.Add(-day), ca)
	unknown := certify(t, "client", now.Add(-day), now.Add(90*day), foreign)
	caFile := write("ca", ca.certPEM())
	for name, c := range map[string]struct {
		server *identity
		wants  bool // a certificate of the client
		max    uint16
		plain  bool
		files  secure.Files
		cure   string
	}{
		"well":                        {server: good, files: secure.Files{CA: caFile}},
		"a client with a certificate": {server: good, wants: true, files: secure.Files{CA: caFile, Cert: write("good", good.certPEM()), Key: write("good-key", good.keyPEM(t))}},
		"an unknown authority":        {server: good, files: secure.Files{CA: write("foreign", foreign.certPEM())}, cure: "set ca_file"},
		"another name":                {server: good, files: secure.Files{CA: caFile, ServerName: "kafka.example.com"}, cure: "set server_name"},
		"an expired server":           {server: ended, files: secure.Files{CA: caFile}, cure: "renew it on the server"},
		"no certificate to show":      {server: good, wants: true, files: secure.Files{CA: caFile}, cure: "set cert_file"},
		"one nobody knows":            {server: good, wants: true, files: secure.Files{CA: caFile, Cert: write("unknown", unknown.certPEM()), Key: write("unknown-key", unknown.keyPEM(t))}, cure: "whose authority it trusts"},
		"an old server":               {server: good, max: tls.VersionTLS11, files: secure.Files{CA: caFile}, cure: "TLS 1.2"},
		"no TLS at all":               {server: good, plain: true, files: secure.Files{CA: caFile}, cure: "does not speak TLS"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			server := &tls.Config{
				Certificates: []tls.Certificate{{Certificate: [][]byte{c.server.cert.Raw}, PrivateKey: c.server.key}},
				MaxVersion:   c.max, ClientCAs: x509.NewCertPool(),
			}
			if c.max != 0 {
				server.MinVersion = c.max
			}
			server.ClientCAs.AddCert(ca.cert)
			if c.wants {
				server.ClientAuth = tls.RequireAndVerifyClientCert
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			go serve(l, server, c.plain)
			config, _, err := secure.ClientTLS(c.files, now)
			if err != nil {
				t.Fatal(err)
			}
			err = call(l.Addr().String(), config)
			cure := secure.Refusal(err)
			if (err == nil) != (c.cure == "") || !strings.Contains(cure, c.cure) {
				t.Errorf("%v: %q, expected %q", err, cure, c.cure)
			}
		})
	}
	if cure := secure.Refusal(io.EOF); cure != "" {
		t.Errorf("a closed connection: %q", cure)
	}
}

func serve(l net.Listener, config *tls.Config, plain bool) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if plain {
			_, _ = conn.Write([]byte("220 this is a mail server\r\n"))
		} else {
			conn = tls.Server(conn, config)
		}
		_, _ = io.Copy(conn, io.LimitReader(conn, 1))
		_ = conn.Close()
	}
}

// call sends a byte and waits until it comes back.
func call(addr string, config *tls.Config) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	config.ServerName = cmp.Or(config.ServerName, "localhost")
	c := tls.Client(conn, config)
	if _, err := c.Write([]byte{1}); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

// TestRenewal: a renewed certificate is shown without a restart, and while its two
// files do not fit the last one is.
func TestRenewal(t *testing.T) {
	t.Parallel()
	cert, key := filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	write := func(path string, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := certify(t, "old", now.Add(-day), now.Add(90*day), nil)
	renewed := certify(t, "renewed", now.Add(-day), now.Add(90*day), nil)
	write(cert, old.certPEM())
	write(key, old.keyPEM(t))
	c, _, err := secure.ClientTLS(secure.Files{Cert: cert, Key: key}, now)
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		t.Helper()
		got, err := c.GetClientCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.Leaf.Subject.CommonName
	}
	if got := shown(); got != "old" {
		t.Errorf("shows %s", got)
	}
	write(cert, renewed.certPEM())
	if got := shown(); got != "old" {
		t.Errorf("half renewed, shows %s", got)
	}
	write(key, renewed.keyPEM(t))
	if got := shown(); got != "renewed" {
		t.Errorf("renewed, shows %s", got)
	}
}
