package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Errors of [Door.Enter].
var (
	ErrUnknown = errors.New("the token or certificate is not known")
	ErrMissing = errors.New("there is neither token nor certificate")
)

// Identity is somebody who may ask.
type Identity struct {
	Name string // of its grant; empty where everybody may ask

	grant   Grant
	token   [sha256.Size]byte // its hash; zero, which no token has, when it has none
	limiter *rate.Limiter
}

// Admin tells whether it may do everything.
func (i *Identity) Admin() bool { return i.grant.Scope == Admin }

// Bound tells whether it may see some ads only.
func (i *Identity) Bound() bool { return len(i.grant.Ads) > 0 }

// Sees tells whether it may see an ad.
func (i *Identity) Sees(ad string) bool { return !i.Bound() || sees(i.grant.Ads, ad) }

// Config says who may ask, and how often.
type Config struct {
	// Grants are asked for with each request, and may change from one to the next.
	// Nil, as opposed to none, lets everybody in.
	Grants func() *Grants
	Rate   float64 // requests a second of one identity, or of one address that has none; 0 is unlimited
	Burst  int     // requests at once after a pause, at least 1
}

// Grants are the identities that are known at one time.
type Grants struct {
	all []*Identity
}

// NewGrants makes the identities of grants, or says what is wrong with these.
func (c Config) NewGrants(grants []Grant) (*Grants, error) {
	if err := CheckAll(grants); err != nil {
		return nil, err
	}
	g := &Grants{all: make([]*Identity, len(grants))}
	for i, grant := range grants {
		token, _ := digest(grant.Hash) // zero where there is a subject instead
		g.all[i] = &Identity{Name: grant.Name, grant: grant, token: token, limiter: c.limiter()}
	}
	return g, nil
}

func (c Config) limiter() *rate.Limiter {
	if c.Rate == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(c.Rate), c.Burst)
}

// Door lets requests in. It is safe for concurrent use.
type Door struct {
	config    Config
	strangers *limiters
	now       func() time.Time
}

// NewDoor makes a door.
func NewDoor(c Config, now func() time.Time) *Door {
	return &Door{config: c, strangers: newLimiters(c.limiter), now: now}
}

// Open tells whether everybody is let in.
func (d *Door) Open() bool { return d.config.Grants == nil }

// everybody is who asks where nobody is asked who it is.
var everybody = &Identity{grant: Grant{Scope: Admin}}

// Enter says who asks, and how long it must wait before it may ask again: 0 lets it in.
// What cannot be named is limited by its address, wrong tokens included; requests of this
// machine to an open door are not limited. The error is ErrMissing or ErrUnknown.
func (d *Door) Enter(r *http.Request) (who *Identity, wait time.Duration, err error) {
	if d.Open() {
		who = everybody
	} else {
		who, err = d.identify(r)
	}
	switch {
	case err == nil && who != everybody:
		return who, d.pause(who.limiter), nil
	case err == nil && isLoopback(r.RemoteAddr):
		return who, 0, nil
	}
	return who, d.pause(d.strangers.of(network(r.RemoteAddr))), err
}

// Still tells whether somebody who was let in with a request would be let in with it
// now, and might do and see the same.
func (d *Door) Still(r *http.Request, who *Identity) bool {
	if d.Open() {
		return true
	}
	now, err := d.identify(r)
	return err == nil && now.Name == who.Name && now.grant.Scope == who.grant.Scope && slices.Equal(now.grant.Ads, who.grant.Ads)
}

// pause takes one request from a limiter, or tells how long it takes until there is one.
func (d *Door) pause(l *rate.Limiter) time.Duration {
	now := d.now()
	r := l.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// identify goes by the token, or without one by the certificate.
func (d *Door) identify(r *http.Request) (*Identity, error) {
	all := d.config.Grants().all
	token, given := credential(r)
	if !given {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			return nil, ErrMissing
		}
		subject := Subject(r.TLS.VerifiedChains[0][0])
		for _, who := range all {
			if who.grant.Subject == subject && subject != "" { // grants of tokens have none, and so have some certificates
				return who, nil
			}
		}
		return nil, fmt.Errorf("%w: nobody is known by the certificate's subject, %q", ErrUnknown, subject)
	}
	sum := sha256.Sum256([]byte(token))
	var found *Identity
	for _, who := range all { // all of them, so that the time tells nothing
		if subtle.ConstantTimeCompare(sum[:], who.token[:]) == 1 {
			found = who
		}
	}
	if found == nil {
		return nil, ErrUnknown
	}
	return found, nil
}

// credential is the token of a request: a bearer token, or the password of a browser
// that asked its user, whatever the name.
func credential(r *http.Request) (token string, given bool) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", false
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", true // of a kind that proves nothing here
	}
	return strings.TrimSpace(token), true
}

// Subject is the name of a certificate's owner as RFC 2253 writes it, in the order of
// the certificate: what "openssl x509 -noout -subject -nameopt RFC2253" prints.
func Subject(c *x509.Certificate) string {
	var name pkix.RDNSequence
	if _, err := asn1.Unmarshal(c.RawSubject, &name); err != nil {
		return ""
	}
	return name.String()
}

// network is what a stranger is known by: its address, or of one in IPv6 the network
// it can choose addresses from.
func network(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	net, err := ip.Prefix(64)
	if err != nil {
		return ""
	}
	return net.String()
}

func isLoopback(remote string) bool {
	at, err := netip.ParseAddrPort(remote)
	return err == nil && at.Addr().Unmap().IsLoopback()
}
