package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The scopes of a grant.
const (
	Read  = "read"  // ask for counts
	Admin = "admin" // everything: also take all counts out
)

// Grant says who is known by what, and what it may do.
type Grant struct {
	Name    string   // in the log
	Hash    string   // of its token, as [Hash] makes it; empty when it has none
	Subject string   // of its client certificate, as RFC 2253 writes it (CN=acme,O=Acme); empty when it has none
	Scope   string   // Read or Admin; empty is Read
	Ads     []string // the ads it may see: ids, or beginnings of ids with a * after them; none is all
}

// tokenPrefix lets people, and programs that look for lost secrets, know a token
// when they see one.
const tokenPrefix = "clickagg_"

// hashPrefix begins a hash, so that it is not taken for a token.
const hashPrefix = "sha256:"

// NewToken makes a token of 128 random bits.
func NewToken() string { return tokenPrefix + rand.Text() }

// Hash is what is kept of a token. A token is random enough that nobody finds it by
// trying, so neither salt nor a slow hash is needed.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// Check says what is wrong with a grant.
func (g Grant) Check() error {
	switch {
	case g.Name == "" || len(g.Name) > 64 || strings.ContainsFunc(g.Name, odd):
		return fmt.Errorf("the name %q is not 1 to 64 letters, digits, '.', '_', '-' or '@'", g.Name)
	case (g.Hash == "") == (g.Subject == ""):
		return fmt.Errorf("%s needs either the hash of a token or the subject of a certificate", g.Name)
	case g.Scope != "" && g.Scope != Read && g.Scope != Admin:
		return fmt.Errorf("the scope of %s is %q; there are %s and %s", g.Name, g.Scope, Read, Admin)
	case g.Scope == Admin && len(g.Ads) > 0:
		return fmt.Errorf("%s is to see some ads only and may take all counts out; give it the scope %s", g.Name, Read)
	case len(g.Ads) > 1000:
		return fmt.Errorf("%s has %d entries in ads; 1000 are taken, and one with a * stands for many", g.Name, len(g.Ads))
	}
	if g.Hash != "" {
		if _, err := digest(g.Hash); err != nil {
			return fmt.Errorf("the hash of %s is not %s and 64 hex digits; 'clickagg token new' prints one", g.Name, hashPrefix)
		}
	}
	for _, p := range g.Ads {
		if begin, _ := strings.CutSuffix(p, "*"); begin == "" || len(p) > 128 || !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl) {
			return fmt.Errorf("%s: %q is neither an ad id nor the beginning of some with a * after it", g.Name, p)
		}
	}
	return nil
}

func odd(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-@", r)
}

// grantsMost is how many grants there may be: each token that comes is compared with all.
const grantsMost = 1000

// CheckAll says what is wrong with grants, one by one and with each other.
func CheckAll(grants []Grant) error {
	if len(grants) > grantsMost {
		return fmt.Errorf("there are %d tokens; %d are taken", len(grants), grantsMost)
	}
	var faults []error
	name := map[string]bool{}
	key := map[string]string{}
	for _, g := range grants {
		by := strings.ToLower(g.Hash) + g.Subject
		switch err := g.Check(); {
		case err != nil:
			faults = append(faults, err)
		case name[g.Name]:
			faults = append(faults, fmt.Errorf("the name %s is given twice", g.Name))
		case key[by] != "":
			faults = append(faults, fmt.Errorf("%s and %s are known by the same token or certificate", key[by], g.Name))
		}
		name[g.Name], key[by] = true, g.Name
	}
	return errors.Join(faults...)
}

func digest(hash string) (sum [sha256.Size]byte, err error) {
	text, ok := strings.CutPrefix(hash, hashPrefix)
	if !ok || len(text) != hex.EncodedLen(len(sum)) {
		return sum, errors.New("not a hash")
	}
	_, err = hex.Decode(sum[:], []byte(text))
	return sum, err
}

// sees tells whether patterns name an ad or stand for it.
func sees(patterns []string, ad string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		begin, many := strings.CutSuffix(p, "*")
		return many && strings.HasPrefix(ad, begin) || p == ad
	})
}
