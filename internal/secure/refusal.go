package secure

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
)

// Refusal says what to do about an error of a connection, or returns "" when the
// error is not one of TLS: then trying again may help.
func Refusal(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the server's certificate is signed by nobody this side trusts: set ca_file to the PEM file of its authority"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the server's certificate is not for this address: connect by a name in it, or set server_name to one"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return "the server's certificate is out of its time: renew it on the server, or put the clocks right"
		}
		return "the server's certificate is not fit for a server"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate does not hold"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "what answers there does not speak TLS: give the address of the TLS listener, or turn tls.enabled off"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return refusedBy(op.Err)
	}
	return ""
}

// Alerts by which a server refuses a client, from RFC 8446, section 6.
const (
	handshakeFailure       tls.AlertError = 40
	badCertificate         tls.AlertError = 42
	unsupportedCertificate tls.AlertError = 43
	revokedCertificate     tls.AlertError = 44
	expiredCertificate     tls.AlertError = 45
	unknownCertificate     tls.AlertError = 46
	unknownAuthority       tls.AlertError = 48
	accessDenied           tls.AlertError = 49
	protocolVersion        tls.AlertError = 70
	certificateRequired    tls.AlertError = 116
)

// refusedBy says what to do about an alert. Package tls hides the type of those it
// receives, but not their text.
func refusedBy(received error) string {
	is := func(alerts ...tls.AlertError) bool {
		return slices.ContainsFunc(alerts, func(a tls.AlertError) bool { return a.Error() == received.Error() })
	}
	switch {
	case is(certificateRequired):
		return "the server wants to see a certificate: set cert_file and key_file"
	case is(handshakeFailure, badCertificate, unsupportedCertificate, unknownCertificate, unknownAuthority, accessDenied):
		return "the server does not take the certificate it was shown, or wants one and was shown none: " +
			"set cert_file and key_file to one whose authority it trusts"
	case is(expiredCertificate, revokedCertificate):
		return "the server says the certificate it was shown has ended: renew cert_file"
	case is(protocolVersion):
		return "the server has no TLS 1.2 or newer"
	}
	return ""
}
