package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/access"
)

// admit lets in who may ask what the request asks. It decides by the request and the
// grant alone, before anything is looked up: no answer, tag, error or time depends on
// what is stored of an ad that the asker may not see.
func (s *Server) admit(w http.ResponseWriter, c *call) error {
	if c.route.open {
		return nil
	}
	who, wait, err := s.door.Enter(c.Request)
	if wait > 0 {
		p := tooOften.about("", "too many requests; ask again after the seconds in Retry-After, or have the operator raise api.rate")
		p.retryAfter = int(math.Ceil(wait.Seconds()))
		return p
	}
	h := w.Header()
	if err != nil {
		h.Add("WWW-Authenticate", challenge("Bearer", err))
		if strings.Contains(c.Header.Get("Accept"), "text/html") {
			h.Add("WWW-Authenticate", `Basic realm="clickagg", charset="UTF-8"`) // so that a browser asks its user; the dashboard does that itself
		}
		if errors.Is(err, access.ErrMissing) {
			return unauthorized.about("", "this API wants to know who asks; send a token, as in: Authorization: Bearer clickagg_…")
		}
		return unauthorized.about("", "nobody is known by this token or certificate; the operator makes a token with 'clickagg token new'")
	}
	if !s.door.Open() {
		h.Add("Vary", "Authorization")
	}
	c.who = who
	switch {
	case c.route.admin && !who.Admin():
		return forbidden.about("", "this needs the scope %s, which %s does not have", access.Admin, who.Name)
	case who.Bound() && !c.route.own:
		return forbidden.about("", "%s may see some ads only, and this answer tells of others; ask for the counts of its ads", who.Name)
	}
	return nil
}

// asker is who asks, as the log says it; empty where that is not asked.
func (c *call) asker() string {
	if c.who == nil {
		return ""
	}
	return c.who.Name
}

// onlyOwn holds somebody who may see some ads only to those, whatever names them. It
// does so for all routes, so that none can forget it.
func (c *call) onlyOwn() error {
	if c.who == nil || !c.who.Bound() {
		return nil
	}
	ads := c.params["ad_id"]
	if strings.Contains(c.route.path, "{ad_id}") {
		ad, err := c.ad()
		if err != nil {
			return err
		}
		ads = append(slices.Clone(ads), ad)
	}
	for _, ad := range ads {
		if !c.who.Sees(ad) {
			return forbidden.about("ad_id", "%s may not see the ad %s", c.who.Name, quote(ad))
		}
	}
	return nil
}

func challenge(scheme string, err error) string {
	text := scheme + ` realm="clickagg"`
	if errors.Is(err, access.ErrUnknown) {
		text += `, error="invalid_token"`
	}
	return text
}

// What a page of another origin may send, and see of an answer.
var (
	corsMethods = "GET, HEAD"
	corsHeaders = "Authorization, If-None-Match, X-Request-Id"
	corsExposed = strings.Join([]string{"ETag", "Retry-After", "X-Request-Id", HeaderStatus, HeaderCompleteUntil}, ", ")
)

// share tells browsers whether a page of another origin may ask, and tells whether
// that was all the request wanted. Browsers never send a certificate or a password
// along by themselves: such a page brings a token of its own.
func (s *Server) share(w http.ResponseWriter, c *call) (done bool) {
	if len(s.origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := c.Header.Get("Origin")
	if !slices.Contains(s.origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", corsExposed)
	if c.Method != http.MethodOptions || c.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", fmt.Sprint(600))
	w.WriteHeader(http.StatusNoContent)
	return true
}
