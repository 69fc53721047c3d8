package config

import (
	"reflect"
	"strings"
	"testing"
)

// hashOf is a hash of 64 equal digits.
func hashOf(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func TestTokensFile(t *testing.T) {
	t.Parallel()
	got, err := ReadTokens(write(t, "# who may ask\n- name: a\n  hash: "+hashOf("1")+"\n- {name: b, subject: \"CN=b\", scope: admin}\n"))
	want := []Token{{Name: "a", Hash: hashOf("1")}, {Name: "b", Subject: "CN=b", Scope: "admin"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := ReadTokens(write(t, "# nobody\n")); err != nil || got == nil || len(got) > 0 {
		t.Errorf("of an empty file: %v, %v", got, err)
	}
	for text, says := range map[string]string{
		"- name: a\n  hsh: x\n":      ":2:3: an entry has no hsh; it has name, hash, subject, scope, ads",
		"- name: a\n  name: b\n":     ":2:3: name is set twice",
		"- name: 1\n":                "write \"1\" in quotes",
		"- a\n":                      "an entry with name, hash, subject, scope, ads is meant here, not text",
		"tokens: []\n":               "a list of entries is meant here, not a section",
		"- name: [\n":                "is not YAML",
		"- name: a\n  ads: x\n":      ":2:8: a list is meant here, not text",
		"- name: a\n  ads: [x, 1]\n": ":2:12: text is meant here",
	} {
		if _, err := ReadTokens(write(t, text)); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v; want %q", text, err, says)
		}
	}
	if _, err := ReadTokens("/nowhere/tokens.yaml"); err == nil || !strings.Contains(err.Error(), "/nowhere/tokens.yaml: cannot be read") {
		t.Errorf("of no file: %v", err)
	}
}

// Faults of entries are told with their places, all at once.
func TestFaultsOfEntries(t *testing.T) {
	t.Parallel()
	path := write(t, "api:\n  tokens:\n    - name: a\n      hsh: x\n    - b\n")
	_, err := Load(Sources{File: path})
	want := "api.tokens: an entry has no hsh; it has name, hash, subject, scope, ads (" + path + ":4:7)\n" +
		"api.tokens: an entry with name, hash, subject, scope, ads is meant here, not text (" + path + ":5:7)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
