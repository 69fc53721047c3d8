package api

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// adBytesMax is the longest ad id that can have clicks.
const adBytesMax = 128

// route is one thing that can be asked.
type route struct {
	name     string   // in metrics and logs
	params   []string // the query parameters it takes
	question bool     // asks the store: takes one of the places for running questions
	stream   bool     // may take as long as its reader reads
	serve    func(http.ResponseWriter, *call) error
}

// nowhere stands for the route of a request that has none.
var nowhere = &route{name: "none"}

func (s *Server) makeRoutes() (exact map[string]*route, perAd *route) {
	span := []string{"start_time", "to_time", "last", "filter_identifier"}
	perAd = &route{name: "count", params: span, question: true, serve: s.count}
	return map[string]*route{
		"/v1/ads/top_clicked_ads": {name: "top", params: append([]string{"n"}, span...), question: true, serve: s.top},
		"/v1/export/counts":       {name: "export", params: []string{"from", "to", "format", "filter_identifier"}, question: true, stream: true, serve: s.export},
		"/v1/filters":             {name: "filters", question: true, serve: s.serveFilters},
		"/v1/lineage":             {name: "lineage", params: []string{"start_time"}, question: true, serve: s.lineage},
		"/v1/status":              {name: "status", serve: s.serveStatus},
		"/livez":                  {name: "livez", serve: s.live},
		"/readyz":                 {name: "readyz", serve: s.serveReady},
	}, perAd
}

// find looks the route up by the path as it was sent, so that %2F is part of an
// ad id and not a separator.
func (s *Server) find(c *call) error {
	path := c.URL.EscapedPath()
	if r := s.routes[path]; r != nil {
		c.route = r
		return nil
	}
	if rest, ok := strings.CutPrefix(path, "/v1/ads/"); ok {
		if ad, ok := strings.CutSuffix(rest, "/aggregated_count"); ok && !strings.Contains(ad, "/") {
			c.route = s.perAd
			return c.setAd(ad)
		}
	}
	return notFound.about("", "nothing is at %s; there are /v1/ads/{ad_id}/aggregated_count (a / in the id is written %%2F), "+
		"/v1/ads/top_clicked_ads, /v1/export/counts, /v1/filters, /v1/lineage, /v1/status, /livez and /readyz", quote(path))
}

// setAd accepts what an ad id can be; anything else could only be answered with
// a zero that hides a mistake.
func (c *call) setAd(escaped string) error {
	ad, err := url.PathUnescape(escaped)
	if err != nil {
		return badAd.about("ad_id", "%s is not a percent-encoded id", quote(escaped))
	}
	switch {
	case ad == "":
		return badAd.about("ad_id", "the id is empty")
	case len(ad) > adBytesMax:
		return badAd.about("ad_id", "the id has %d bytes; ids have at most %d", len(ad), adBytesMax)
	case !utf8.ValidString(ad):
		return badAd.about("ad_id", "%s is not UTF-8", quote(ad))
	case strings.ContainsFunc(ad, unicode.IsControl):
		return badAd.about("ad_id", "%s holds a control character, which no id does", quote(ad))
	case escaped == "." || escaped == "..":
		return badAd.about("ad_id", "write the id %s with %%2E for each dot", ad)
	}
	c.ad = ad
	return nil
}
