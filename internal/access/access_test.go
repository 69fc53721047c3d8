package access

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	a, b := NewToken(), NewToken()
	if a == b || !strings.HasPrefix(a, "clickagg_") || len(a) < len("clickagg_")+26 { // 26 letters of base 32 are 130 bits
		t.Errorf("made %s and %s", a, b)
	}
	if got := Hash("clickagg_A"); got != "sha256:74915895c9edda593be6fc3da79befb221eca13f0c86ebbd03597f1e7a6ef93b" {
		t.Errorf("hashed to %s", got)
	}
	for _, hash := range []string{"", "sha256:", a, Hash(a)[:70], Hash(a) + "0", strings.Replace(Hash(a), "sha256:", "md5:", 1), "sha256:" + strings.Repeat("g", 64)} {
		if err := (Grant{Name: "a", Hash: hash}).Check(); err == nil {
			t.Errorf("%q is taken for a hash", hash)
		}
	}
}

// A grant says which ads it is for by ids and by beginnings.
func TestSees(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ads  string
		ad   string
		sees bool
	}{
		{"", "anything", true},
		{"shoes-42", "shoes-42", true},
		{"shoes-42", "shoes-421", false},
		{"shoes-42", "shoes-4", false},
		{"shoes-*", "shoes-42", true},
		{"shoes-*", "shoes-", true},
		{"shoes-*", "shoes", false},
		{"shoes-*", "Shoes-1", false},
		{"shoes-*", "shoes-*", true},
		{"a b*|x", "a bc", true},
		{"a b*|x", "x", true},
		{"a b*|x", "y", false},
		{"a*b", "a*b", true},
		{"a*b", "axb", false},
	} {
		g := Grant{}
		if c.ads != "" {
			g.Ads = strings.Split(c.ads, "|")
		}
		who := &Identity{grant: g}
		if who.Sees(c.ad) != c.sees || who.Bound() != (c.ads != "") {
			t.Errorf("%q sees %q: %v", c.ads, c.ad, who.Sees(c.ad))
		}
	}
}

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// door lets in whom the grants name, at a rate of one a second and three at once.
func door(t *testing.T, clock *time.Time, grants ...Grant) *Door {
	t.Helper()
	c := Config{Rate: 1, Burst: 3}
	known, err := c.NewGrants(grants)
	if err != nil {
		t.Fatal(err)
	}
	if grants != nil {
		c.Grants = func() *Grants { return known }
	}
	return NewDoor(c, func() time.Time { return *clock })
}

func request(remote, authorization string) *http.Request {
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// certified is a request with a certificate that was verified.
func certified(subject pkix.Name) *http.Request {
	raw, err := asn1.Marshal(subject.ToRDNSequence())
	if err != nil {
		panic(err)
	}
	r := request("10.0.0.1:1", "")
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{RawSubject: raw}}}}
	return r
}

func TestWhoEnters(t *testing.T) {
	t.Parallel()
	a, b := NewToken(), NewToken()
	d := door(t, &now,
		Grant{Name: "a", Hash: Hash(a)}, Grant{Name: "b", Hash: hashPrefix + strings.ToUpper(Hash(b)[len(hashPrefix):]), Scope: Admin},
		Grant{Name: "c", Subject: "CN=client,O=Acme\\, Inc."})
	basic := func(user, password string) string {
		r := request("", "")
		r.SetBasicAuth(user, password)
		return r.Header.Get("Authorization")
	}
	unverified := certified(pkix.Name{CommonName: "client", Organization: []string{"Acme, Inc."}})
	unverified.TLS.PeerCertificates, unverified.TLS.VerifiedChains = unverified.TLS.VerifiedChains[0], nil
	both := certified(pkix.Name{CommonName: "client", Organization: []string{"Acme, Inc."}})
	both.Header.Set("Authorization", "Bearer "+a)
	wrong := certified(pkix.Name{CommonName: "client", Organization: []string{"Acme, Inc."}})
	wrong.RemoteAddr = "10.0.0.5:1"
	wrong.Header.Set("Authorization", "Bearer x")
	for what, c := range map[string]struct {
		request *http.Request
		who     string
		err     error
	}{
		"a token":                     {request("10.0.0.1:1", "Bearer "+a), "a", nil},
		"another":                     {request("10.0.0.1:1", "bearer  "+b), "b", nil},
		"a browser's":                 {request("10.0.0.1:1", basic("whoever", a)), "a", nil},
		"nothing":                     {request("10.0.0.2:1", ""), "", ErrMissing},
		"nothing, from here":          {request("127.0.0.1:1", ""), "", ErrMissing},
		"half a token":                {request("10.0.0.3:1", "Bearer "+a[:20]), "", ErrUnknown},
		"a hash":                      {request("10.0.0.3:1", "Bearer "+Hash(a)), "", ErrUnknown},
		"no token":                    {request("10.0.0.3:1", "Bearer"), "", ErrUnknown},
		"a token without its kind":    {request("10.0.0.4:1", a), "", ErrUnknown},
		"a token of another kind":     {request("10.0.0.4:1", "Digest "+a), "", ErrUnknown},
		"a token as a name":           {request("10.0.0.4:1", basic(a, "")), "", ErrUnknown},
		"a certificate":               {certified(pkix.Name{CommonName: "client", Organization: []string{"Acme, Inc."}}), "c", nil},
		"a token and a certificate":   {both, "a", nil},
		"a wrong token beside it":     {wrong, "", ErrUnknown},
		"an unverified certificate":   {unverified, "", ErrMissing},
		"a certificate of another":    {certified(pkix.Name{CommonName: "client"}), "", ErrUnknown},
		"a certificate without owner": {certified(pkix.Name{}), "", ErrUnknown},
	} {
		who, wait, err := d.Enter(c.request)
		if !errors.Is(err, c.err) || wait != 0 || (who == nil) != (c.who == "") || who != nil && who.Name != c.who {
			t.Errorf("%s: %+v, %v, %v; want %q, %v", what, who, wait, err, c.who, c.err)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, g := range []Grant{{Name: "a", Subject: "CN=a"}, {Name: "b", Subject: "CN=b", Scope: Read}, {Name: "c", Subject: "CN=c", Scope: Admin}} {
		if who := (&Identity{grant: g}); who.Admin() != (g.Name == "c") {
			t.Errorf("%s: admin %v", g.Name, who.Admin())
		}
	}
	who, _, err := door(t, &now).Enter(request("10.0.0.1:1", ""))
	if err != nil || !who.Admin() || who.Bound() {
		t.Errorf("at an open door: %+v, %v", who, err)
	}
}

// Somebody who is known has a rate of its own, wherever it comes from; others share
// that of their address. After a pause there is as much as the burst, and no more.
func TestRate(t *testing.T) {
	t.Parallel()
	clock := now
	a, b := NewToken(), NewToken()
	d := door(t, &clock, Grant{Name: "a", Hash: Hash(a)}, Grant{Name: "b", Hash: Hash(b)})
	wait := func(r *http.Request) time.Duration {
		_, wait, _ := d.Enter(r)
		return wait
	}
	step := func(what string, r *http.Request, free int) {
		t.Helper()
		for i := range free {
			if w := wait(r); w != 0 {
				t.Errorf("%s: request %d waits %v", what, i+1, w)
			}
		}
		for range 2 { // what is refused does not make the next wait longer
			if w := wait(r); w != time.Second {
				t.Errorf("%s: request %d waits %v", what, free+1, w)
			}
		}
	}
	step("a", request("10.0.0.1:1", "Bearer "+a), 3)
	if w := wait(request("10.0.0.9:1", "Bearer "+a)); w != time.Second {
		t.Errorf("a from elsewhere waits %v", w)
	}
	step("b from the same address", request("10.0.0.1:2", "Bearer "+b), 3)
	step("nobody from the same address", request("10.0.0.1:3", ""), 3)
	if w := wait(request("10.0.0.1:4", "Bearer x")); w != time.Second {
		t.Errorf("a wrong token from there waits %v", w)
	}
	step("nobody from this machine", request("127.0.0.1:1", ""), 3)
	step("nobody in a network", request("[2001:db8:0:1::1]:1", ""), 3)
	if w := wait(request("[2001:db8:0:1:ffff::2]:1", "")); w != time.Second {
		t.Errorf("nobody from the same network waits %v", w)
	}
	step("nobody from another network", request("[2001:db8:0:2::1]:1", ""), 3)
	clock = clock.Add(time.Second)
	step("a, a second later", request("10.0.0.1:1", "Bearer "+a), 1)
	clock = clock.Add(time.Hour)
	step("a, an hour later", request("10.0.0.1:1", "Bearer "+a), 3)

	open := door(t, &clock)
	for range 100 {
		if _, w, err := open.Enter(request("[::1]:1", "")); w != 0 || err != nil {
			t.Fatalf("this machine at an open door waits %v, %v", w, err)
		}
	}
	for range 3 {
		_, _, _ = open.Enter(request("10.0.0.1:1", ""))
	}
	if _, w, err := open.Enter(request("10.0.0.1:1", "")); w != time.Second || err != nil {
		t.Errorf("another at an open door waits %v, %v", w, err)
	}
	free := NewDoor(Config{}, func() time.Time { return now })
	for range 1000 {
		if _, w, _ := free.Enter(request("10.0.0.1:1", "")); w != 0 {
			t.Fatalf("without a limit, waits %v", w)
		}
	}
}

// However many addresses ask, so many are remembered, and those that ask stay.
func TestStrangersAreBounded(t *testing.T) {
	t.Parallel()
	clock := now
	d := door(t, &clock, Grant{Name: "a", Subject: "CN=a"})
	often := request("10.0.0.1:1", "")
	for range 3 {
		_, _, _ = d.Enter(often)
	}
	for i := range 3 * strangersMost {
		_, _, _ = d.Enter(request(fmt.Sprintf("11.%d.%d.%d:1", i>>16, i>>8&255, i&255), ""))
		if i%1000 == 0 {
			if _, w, _ := d.Enter(often); w == 0 {
				t.Fatalf("one that asked all the time was forgotten after %d others", i)
			}
		}
	}
	if n := len(d.strangers.byName); n != strangersMost || d.strangers.recent.Len() != n {
		t.Errorf("%d and %d are remembered", n, d.strangers.recent.Len())
	}
}

func TestGrantsAreChecked(t *testing.T) {
	t.Parallel()
	hash := Hash("x")
	for says, grants := range map[string][]Grant{
		"the name \"\"":                 {{Hash: hash}},
		"either the hash of a token or": {{Name: "a", Hash: hash, Subject: "CN=a"}},
		"the scope of a is \"write\"":   {{Name: "a", Hash: hash, Scope: "write"}},
		"give it the scope read":        {{Name: "a", Hash: hash, Scope: Admin, Ads: []string{"x"}}},
		"a: \"*\" is neither":           {{Name: "a", Hash: hash, Ads: []string{"*"}}},
		"the name a is given twice":     {{Name: "a", Hash: hash}, {Name: "a", Subject: "CN=a"}},
		"a and b are known by the same": {{Name: "a", Hash: hash}, {Name: "b", Hash: hashPrefix + strings.ToUpper(hash[len(hashPrefix):])}},
		"there are 1001 tokens":         make([]Grant, 1001),
		"1001 entries in ads":           {{Name: "a", Hash: hash, Ads: make([]string, 1001)}},
	} {
		if _, err := (Config{}).NewGrants(grants); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v; want %q", err, says)
		}
	}
}

// BenchmarkEnter compares a token with as many as there may be, and with a few.
func BenchmarkEnter(b *testing.B) {
	for _, n := range []int{10, grantsMost} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkEnter(b, n) })
	}
}

func benchmarkEnter(b *testing.B, n int) {
	c := Config{}
	grants := make([]Grant, n)
	for i := range grants {
		grants[i] = Grant{Name: fmt.Sprint("n", i), Hash: Hash(fmt.Sprint(i))}
	}
	known, err := c.NewGrants(grants)
	if err != nil {
		b.Fatal(err)
	}
	c.Grants = func() *Grants { return known }
	d, r := NewDoor(c, time.Now), request("10.0.0.1:1", "Bearer 1")
	for b.Loop() {
		if _, _, err := d.Enter(r); err != nil {
			b.Fatal(err)
		}
	}
}
