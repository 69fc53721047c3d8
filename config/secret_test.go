package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("kafka", "canary\n", 0o600)
	t.Setenv("SECRET_OF_THE_TEST", "canary")
	t.Setenv(credentials, dir)
	t.Setenv("CLICKAGG_KAFKA_SASL_PASSWORD", "")

	// Case: each reference gives the value, from each source; a variable may hold it itself.
	login := []string{"CLICKAGG_KAFKA_SASL_MECHANISM=plain", "CLICKAGG_KAFKA_SASL_USER=u"}
	for _, ref := range []string{"file:" + dir + "/kafka", "cred:kafka", "env:SECRET_OF_THE_TEST"} {
		for name, s := range map[string]Sources{
			"file": {File: write(t, "kafka: {sasl: {password: '"+ref+"'}}\n"), Env: login},
			"env":  {Env: append([]string{"CLICKAGG_KAFKA_SASL_PASSWORD=" + ref}, login...)},
			"flag": {Env: login, Flags: map[string]string{"kafka.sasl.password": ref}},
		} {
			c, err := Load(s)
			if err != nil || c.Kafka.SASL.Password.Reveal() != "canary" {
				t.Errorf("%s from %s: %q, %v", ref, name, c.Kafka.SASL.Password.Reveal(), err)
			}
			hidden(t, c)
			if !strings.Contains(string(c.Print()), ref) {
				t.Errorf("%s is not shown by its reference", ref)
			}
		}
	}
	c, err := Load(Sources{Env: append([]string{"CLICKAGG_KAFKA_SASL_PASSWORD=canary"}, login...)})
	if err != nil || c.Kafka.SASL.Password.Reveal() != "canary" {
		t.Errorf("a variable's own value: %v", err)
	}
	hidden(t, c)

	// Case: what cannot be a secret is refused, with the way out, and not repeated.
	put("empty", "\n", 0o600)
	put("open", "canary", 0o644)
	put("large", strings.Repeat("x", maxSecret+1), 0o600)
	for ref, want := range map[string]string{
		"canary":                 "write file:/path, env:NAME or cred:NAME",
		"file:kafka":             "is not an absolute path",
		"file:" + dir + "/none":  "cannot be read",
		"file:" + dir + "/empty": "is empty",
		"file:" + dir + "/open":  "make it 0600",
		"file:" + dir + "/large": "this is no secret",
		"cred:../kafka":          "no name of a credential",
		"env:NO_SUCH_VARIABLE":   "no environment variable",
	} {
		_, err := Load(Sources{Env: login, Flags: map[string]string{"kafka.sasl.password": ref}})
		if err == nil || !strings.Contains(err.Error(), want) || ref == "canary" && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want %q", ref, err, want)
		}
	}
	t.Setenv(credentials, "")
	if _, err := Load(Sources{Env: login, Flags: map[string]string{"kafka.sasl.password": "cred:kafka"}}); err == nil || !strings.Contains(err.Error(), "LoadCredential=kafka:PATH") {
		t.Errorf("a credential without a directory: %v", err)
	}
}

// hidden prints a configuration in every way Go has, and looks for the secret.
func hidden(t *testing.T, c Config) {
	t.Helper()
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		string(c.Print()), string(encoded), fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%x", c.Kafka.SASL.Password), fmt.Sprintf("%d", c.Kafka.SASL.Password),
	} {
		if strings.Contains(text, "canary") {
			t.Errorf("the secret is printed: %.200s", text)
		}
	}
}

// What is bound together is refused apart.
func TestConnectionsAreWhole(t *testing.T) {
	secret := "file:" + write(t, "x")
	good := []map[string]string{
		{"kafka.sasl.mechanism": "plain", "kafka.sasl.user": "u", "kafka.sasl.password": secret},
		{"kafka.brokers": "kafka:9092", "kafka.allow_plaintext": "true"},
		{"kafka.brokers": "kafka:9092", "kafka.tls.enabled": "true", "kafka.tls.ca_file": "/ca", "kafka.tls.server_name": "k"},
		{"cassandra.hosts": "a:1,b:1", "cassandra.tls.enabled": "true", "cassandra.tls.cert_file": "/c", "cassandra.tls.key_file": "/k"},
		{"cassandra.user": "u", "cassandra.password": secret},
		{"snapshots.s3.access_key": secret, "snapshots.s3.secret_key": secret},
		{"archive.s3.access_key": secret, "archive.s3.secret_key": secret},
		{"archive.after": "1h", "cassandra.raw_ttl": "25h"},
		{"input.topics": "clicks.*", "watermark.trusted_topics": "clicks.eu"},
		{"kafka.replication": "1", "kafka.min_insync": "1"},
		{"api.listen": "0.0.0.0:1", "api.insecure": "true"},
		{"api.listen": "0.0.0.0:1", "api.tls.cert_file": "/c", "api.tls.key_file": "/k", "api.tokens_file": "/t"},
		{"api.tls.cert_file": "/c", "api.tls.key_file": "/k", "api.tls.client_ca_file": "/ca", "api.tokens": "[{name: a, subject: CN=a}]"},
		{"api.client.cert_file": "/c", "api.client.key_file": "/k"},
		{"api.client.token": secret, "api.url": "https://clicks.example"},
		{"api.client.token": secret, "api.url": "http://[::1]:80"},
	}
	for _, flags := range good {
		if _, err := Load(Sources{Flags: flags}); err != nil {
			t.Errorf("%v: %v", flags, err)
		}
	}
	bad := []map[string]string{
		{"kafka.sasl.password": secret},
		{"kafka.sasl.mechanism": "plain", "kafka.sasl.user": "u"},
		{"kafka.tls.enabled": "true", "kafka.tls.cert_file": "/c"},
		{"cassandra.tls.enabled": "true", "cassandra.tls.key_file": "/k"},
		{"cassandra.password": secret},
		{"snapshots.s3.access_key": secret},
		{"archive.s3.secret_key": secret},
		{"archive.after": "2h", "cassandra.raw_ttl": "25h"},
		{"input.topics": "clicks.*", "watermark.trusted_topics": "views"},
		{"kafka.replication": "1"},
		{"api.listen": "0.0.0.0:1", "api.tls.cert_file": "/c", "api.tls.key_file": "/k"},
		{"api.listen": "0.0.0.0:1", "api.tokens_file": "/t"},
		{"api.tls.cert_file": "/c", "api.tls.key_file": "/k", "api.tls.client_ca_file": "/ca"},
		{"api.tls.client_ca_file": "/ca", "api.tokens_file": "/t"},
		{"api.client.token": secret, "api.url": "http://clicks.example"},
	}
	for _, flags := range bad {
		if _, err := Load(Sources{Flags: flags}); err == nil {
			t.Errorf("%v is taken", flags)
		}
	}
}
