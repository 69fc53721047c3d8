package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/clickagg/clickagg/internal/secure"
)

// SASL is how a process proves to the brokers who it is.
type SASL struct {
	Mechanism string // "plain", "scram-sha-256", "scram-sha-512" or "" for none
	User      string
	Password  string
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "":
		return nil, nil
	case "plain":
		return plain.Mechanism{Username: s.User, Password: s.Password}, nil
	case "scram-sha-256", "scram-sha-512":
		algorithm := scram.SHA256
		if s.Mechanism == "scram-sha-512" {
			algorithm = scram.SHA512
		}
		m, err := scram.Mechanism(algorithm, s.User, s.Password)
		if err != nil {
			return nil, fmt.Errorf("kafka.sasl.user or kafka.sasl.password cannot be used with %s: %w", s.Mechanism, err)
		}
		return m, nil
	}
	return nil, fmt.Errorf("there is no mechanism %q: set kafka.sasl.mechanism to plain, scram-sha-256 or scram-sha-512", s.Mechanism)
}

// encryption makes the TLS configuration of the log's files.
func (l *Log) encryption() (*tls.Config, error) {
	if l.cfg.TLS == nil {
		return nil, nil
	}
	c, warnings, err := secure.ClientTLS(*l.cfg.TLS, time.Now())
	for _, w := range warnings {
		l.log.Warn(w)
	}
	return c, err
}

// explain says what to do about an error of TLS or of the login. These do not pass
// by themselves.
func (l *Log) explain(err error) error {
	cure := secure.Refusal(err)
	s := l.cfg.SASL
	switch {
	case cure != "":
	case errors.Is(err, kafkago.SASLAuthenticationFailed):
		cure = fmt.Sprintf("the broker does not let user %q in: check kafka.sasl.user, kafka.sasl.password and that the user has a password for %s", s.User, s.Mechanism)
	case errors.Is(err, kafkago.UnsupportedSASLMechanism):
		cure = fmt.Sprintf("the broker's listener does not offer %s: set kafka.sasl.mechanism to one it does", s.Mechanism)
	case errors.Is(err, kafkago.IllegalSASLState):
		cure = "the broker's listener has no login: set kafka.sasl.mechanism to none, or give the address of the listener that has"
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, cure)
}

// refused tells whether a broker was reached and turned this process away.
func refused(err error) bool {
	if secure.Refusal(err) != "" {
		return true
	}
	for _, code := range []kafkago.Error{
		kafkago.SASLAuthenticationFailed, kafkago.UnsupportedSASLMechanism, kafkago.IllegalSASLState,
		kafkago.TopicAuthorizationFailed, kafkago.GroupAuthorizationFailed, kafkago.ClusterAuthorizationFailed,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// hungUp adds to the error of a first request what its reason may be when the
// broker just closes the connection: it does so to whom it cannot understand.
func (l *Log) hungUp(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	var lacks []string
	if l.cfg.TLS == nil {
		lacks = append(lacks, "TLS (kafka.tls.enabled)")
	}
	if l.cfg.SASL.Mechanism == "" {
		lacks = append(lacks, "a login (kafka.sasl)")
	}
	if len(lacks) == 0 {
		return err
	}
	return fmt.Errorf("%w: the broker hangs up; perhaps this listener wants %s", err, strings.Join(lacks, " or "))
}

// resource is what a right is for, as kafka-acls.sh has it.
type resource string

const (
	onTopic   resource = "topic"
	onGroup   resource = "group"
	onCluster resource = "cluster"
)

// denied names in an error of authorization the right that is missing, and how to
// grant it. Other errors pass.
func (l *Log) denied(err error, operation string, on resource, name string) error {
	switch {
	case errors.Is(err, kafkago.TopicAuthorizationFailed), errors.Is(err, kafkago.ClusterAuthorizationFailed),
		errors.Is(err, kafkago.GroupAuthorizationFailed):
	default:
		return err
	}
	who := l.cfg.SASL.User
	if who == "" {
		who = "..."
	}
	target := "--" + string(on)
	if on != onCluster {
		target += " " + name
	}
	return fmt.Errorf("%w: the right %s on %s is missing: kafka-acls.sh --bootstrap-server %s --add --allow-principal User:%s --operation %s %s",
		err, operation, strings.TrimSpace(string(on)+" "+name), l.cfg.Brokers[0], who, operation, target)
}

// deniedOf is denied for a request that needs a right on a topic and on a group.
func (l *Log) deniedOf(err error, operation, topic, group string) error {
	if errors.Is(err, kafkago.GroupAuthorizationFailed) {
		return l.denied(err, operation, onGroup, group)
	}
	return l.denied(err, operation, onTopic, topic)
}
