package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/secure"
	"github.com/clickagg/clickagg/internal/servers"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// guarded is a broker that asks who is there, and lets admin do everything and
// others what they were granted.
type guarded struct {
	*servers.Kafka
	certs servers.Certificates
	look  *looker // which may do everything
}

const adminPassword, alicePassword = "admin's-secret", "alice's secret"

func guardedKafka(t *testing.T) *guarded {
	t.Helper()
	certs, err := servers.MakeCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	k, err := servers.StartKafka(t.Context(), servers.KafkaOptions{
		Secure: &servers.KafkaSecurity{
			Certificates: certs, ClientCert: true, Users: map[string]string{"admin": adminPassword, "alice": alicePassword},
		},
		Properties: map[string]string{
			"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users":           "User:ANONYMOUS;User:admin;User:CN=client",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(k.LogTail())
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return &guarded{Kafka: k, certs: certs, look: look(t, k.Addrs())}
}

// allow grants a user something, as kafka-acls.sh does.
func (g *guarded) allow(user string, on kmsg.ACLResourceType, name string, operations ...kmsg.ACLOperation) {
	g.look.t.Helper()
	r := kmsg.NewPtrCreateACLsRequest()
	for _, operation := range operations {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = on, name, kmsg.ACLResourcePatternTypeLiteral
		c.Principal, c.Host, c.Operation, c.PermissionType = "User:"+user, "*", operation, kmsg.ACLPermissionTypeAllow
		r.Creations = append(r.Creations, c)
	}
	answer, err := r.RequestWith(limited(g.look.t), g.look.Client)
	if err != nil {
		g.look.t.Fatal(err)
	}
	for _, a := range answer.Results {
		if err := kerr.ErrorForCode(a.ErrorCode); err != nil {
			g.look.t.Fatal(err)
		}
	}
}

func TestSecurity(t *testing.T) {
	t.Parallel()
	g := guardedKafka(t)
	t.Run("let in", g.letIn)
	t.Run("turned away", g.turnedAway)
	t.Run("rights", g.rights)
}

// letIn: each way of coming in works for writing and reading.
func (g *guarded) letIn(t *testing.T) {
	topic := g.look.newTopic(1, nil)
	trust := &secure.Files{CA: g.certs.CA}
	for i, c := range []struct {
		name  string
		addrs []string
		tls   *secure.Files
		sasl  kafka.SASL
	}{
		{"certificate", g.TLSAddrs(), &secure.Files{CA: g.certs.CA, Cert: g.certs.ClientCert, Key: g.certs.ClientKey}, kafka.SASL{}},
		{"another server name", g.SASLAddrs(), &secure.Files{CA: g.certs.CA, ServerName: "localhost"}, kafka.SASL{Mechanism: "plain", User: "admin", Password: adminPassword}},
		{"plain", g.SASLAddrs(), trust, kafka.SASL{Mechanism: "plain", User: "admin", Password: adminPassword}},
		{"scram-sha-256", g.SASLAddrs(), trust, kafka.SASL{Mechanism: "scram-sha-256", User: "admin", Password: adminPassword}},
		{"scram-sha-512", g.SASLAddrs(), trust, kafka.SASL{Mechanism: "scram-sha-512", User: "admin", Password: adminPassword}},
	} {
		l := openLog(t, c.addrs, kafka.Config{TLS: c.tls, SASL: c.sasl})
		if err := l.Append(limited(t), topic, []stream.Message{{Value: []byte(c.name)}}); err != nil {
			t.Fatalf("%s: append: %v", c.name, err)
		}
		r, err := l.Open(limited(t), topic, 0, stream.At(int64(i)))
		if err != nil {
			t.Fatalf("%s: open: %v", c.name, err)
		}
		b, err := r.Read(limited(t), 10*time.Second)
		if err != nil || len(b.Records) != 1 || string(b.Records[0].Value) != c.name {
			t.Errorf("%s: %+v, %v", c.name, b, err)
		}
		if err := errors.Join(r.Close(), l.Commit(limited(t), "g", topic, 0, stream.Position{Offset: 1, Epoch: stream.NoEpoch})); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// turnedAway: who is not let in is told so at once, with what to do.
func (g *guarded) turnedAway(t *testing.T) {
	foreign, err := servers.MakeCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	trust := &secure.Files{CA: g.certs.CA}
	for _, c := range []struct {
		name  string
		addrs []string
		tls   *secure.Files
		sasl  kafka.SASL
		says  string
		waits bool // a connection that is just closed may also be a broker that starts
	}{
		{"plain, wrong password", g.SASLAddrs(), trust, kafka.SASL{Mechanism: "plain", User: "admin", Password: "guess"}, `the broker does not let user "admin" in: check kafka.sasl.user`, false},
		{"scram, wrong password", g.SASLAddrs(), trust, kafka.SASL{Mechanism: "scram-sha-512", User: "admin", Password: "guess"}, `the broker does not let user "admin" in`, false},
		{"scram, nobody", g.SASLAddrs(), trust, kafka.SASL{Mechanism: "scram-sha-256", User: "nobody", Password: "guess"}, `the broker does not let user "nobody" in`, false},
		{"unknown authority", g.SASLAddrs(), &secure.Files{CA: foreign.CA}, kafka.SASL{Mechanism: "plain", User: "admin", Password: adminPassword}, "set ca_file", false},
		{"another name", g.SASLAddrs(), &secure.Files{CA: g.certs.CA, ServerName: "kafka.example.com"}, kafka.SASL{Mechanism: "plain", User: "admin", Password: adminPassword}, "set server_name", false},
		{"no certificate", g.TLSAddrs(), trust, kafka.SASL{}, "set cert_file and key_file", false},
		{"foreign certificate", g.TLSAddrs(), &secure.Files{CA: g.certs.CA, Cert: foreign.ClientCert, Key: foreign.ClientKey}, kafka.SASL{}, "whose authority it trusts", false},
		{"no login there", g.Addrs(), nil, kafka.SASL{Mechanism: "plain", User: "admin", Password: adminPassword}, "set kafka.sasl.mechanism to none", false},
		{"no TLS there", g.Addrs(), trust, kafka.SASL{}, "", true},
		{"no TLS here", g.TLSAddrs(), nil, kafka.SASL{}, "perhaps this listener wants TLS (kafka.tls.enabled) or a login (kafka.sasl)", true},
		{"no login here", g.SASLAddrs(), trust, kafka.SASL{}, "perhaps this listener wants a login (kafka.sasl)", true},
		{"missing file", g.SASLAddrs(), &secure.Files{CA: "/nowhere/ca.pem"}, kafka.SASL{}, "kafka: tls: open /nowhere/ca.pem: no such file or directory", false},
	} {
		ctx := limited(t)
		if c.waits {
			short, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			ctx = short
		}
		l, err := kafka.Open(ctx, kafka.Config{Brokers: c.addrs, TLS: c.tls, SASL: c.sasl}, zap.NewNop())
		if err == nil {
			t.Errorf("%s: let in", c.name)
			_ = l.Close()
			continue
		}
		if !strings.Contains(err.Error(), c.says) || !c.waits && ctx.Err() != nil {
			t.Errorf("%s: %v\nexpected %q", c.name, err, c.says)
		}
		for _, secret := range []string{adminPassword, "guess"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the password is in %q", c.name, err)
			}
		}
	}
}

// rights: an error names the right that is missing and the command that grants it.
func (g *guarded) rights(t *testing.T) {
	topic := g.look.newTopic(1, nil)
	g.look.put(topic, "x")
	l := openLog(t, g.SASLAddrs(), kafka.Config{TLS: &secure.Files{CA: g.certs.CA}, SASL: kafka.SASL{Mechanism: "scram-sha-512", User: "alice", Password: alicePassword}})
	lacks := func(what, operation string, err error) {
		t.Helper()
		on, name, _ := strings.Cut(operation, " ")
		want := fmt.Sprintf("the right %s on topic %s is missing: kafka-acls.sh --bootstrap-server %s --add --allow-principal User:alice --operation %[1]s --topic %[2]s", on, name, g.SASLAddrs()[0])
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nexpected %q", what, err, want)
		}
	}
	_, err := l.Topic(limited(t), topic)
	lacks("look up", "Describe "+topic, err)
	_, err = l.DescribeTopics(limited(t), []string{topic})
	lacks("describe", "Describe "+topic, err)
	lacks("append unseen", "Describe "+topic, l.Append(limited(t), topic, []stream.Message{{Value: []byte("x")}}))
	lacks("create", "Create made-by-alice", l.CreateTopics(limited(t), []kafka.TopicSpec{{Name: "made-by-alice", Partitions: 1}}))
	if names, err := l.TopicNames(limited(t)); err != nil || len(names) != 0 {
		t.Errorf("alice sees %v, %v", names, err)
	}

	g.allow("alice", kmsg.ACLResourceTypeTopic, topic, kmsg.ACLOperationDescribe)
	g.look.settle("describe", func(ctx context.Context) error {
		_, err := l.Topic(ctx, topic)
		return err
	})
	_, err = l.DescribeTopics(limited(t), []string{topic})
	lacks("describe configs", "DescribeConfigs "+topic, err)
	lacks("append", "Write "+topic, l.Append(limited(t), topic, []stream.Message{{Value: []byte("x")}}))
	r, err := l.Open(limited(t), topic, 0, stream.At(0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	_, err = r.Read(limited(t), time.Second)
	lacks("read", "Read "+topic, err)
}
