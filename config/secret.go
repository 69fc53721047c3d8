package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Secret is a password or key. However it is printed, it shows where it came
// from and never what it is; only [Secret.Reveal] gives that.
type Secret struct {
	from  string // file:/path, env:NAME, cred:NAME, or what stands for a value given directly
	value string
}

// Reveal is the secret itself, to be handed to whom it is for.
func (s Secret) Reveal() string { return s.value }

// String shows where the secret came from.
func (s Secret) String() string { return s.from }

// Format is [Secret.String], whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.from) }

// MarshalText is [Secret.String], for everything that encodes.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.from), nil }

// given stands for a secret whose value was given directly.
const given = "(given)"

// credentials is where systemd puts what a unit loads by LoadCredential=.
const credentials = "CREDENTIALS_DIRECTORY"

// maxSecret is the longest secret that is read, in bytes.
const maxSecret = 64 << 10

// parseSecret resolves a reference. A value given directly is taken where only
// the process itself can see it.
func parseSecret(text string, direct bool) (Secret, string) {
	kind, name, _ := strings.Cut(text, ":")
	s := Secret{from: text}
	switch {
	case text == "":
		return Secret{}, ""
	case kind == "file":
		return s.read(name)
	case kind == "cred":
		dir := os.Getenv(credentials)
		if dir == "" {
			return Secret{}, "there is no " + credentials + "; a unit sets it when it has LoadCredential=" + name + ":PATH"
		}
		if name != filepath.Base(name) {
			return Secret{}, quote(name) + " is no name of a credential"
		}
		return s.read(filepath.Join(dir, name))
	case kind == "env":
		value, ok := os.LookupEnv(name)
		if !ok {
			return Secret{}, "there is no environment variable " + quote(name)
		}
		return s.with(value)
	case direct:
		s.from = given
		return s.with(text)
	}
	return Secret{}, "a secret does not stand here itself; write file:/path, env:NAME or cred:NAME (a systemd credential)"
}

func (s Secret) read(path string) (Secret, string) {
	if !filepath.IsAbs(path) {
		return Secret{}, quote(path) + " is not an absolute path; write file:/path"
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return Secret{}, fmt.Sprintf("%s can be read by everyone (mode %#o); make it 0600", path, info.Mode().Perm())
	}
	body, err := readAtMost(path, maxSecret)
	switch {
	case err != nil:
		return Secret{}, path + " cannot be read: " + err.Error()
	case len(body) > maxSecret:
		return Secret{}, fmt.Sprintf("%s is over %d KiB; this is no secret", path, maxSecret>>10)
	}
	return s.with(strings.TrimRight(string(body), "\r\n"))
}

func (s Secret) with(value string) (Secret, string) {
	if value == "" {
		return Secret{}, s.from + " is empty"
	}
	s.value = value
	return s, ""
}
