package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// adBytesMax is the longest ad id that can have clicks.
const adBytesMax = 128

// route is one thing that can be asked.
type route struct {
	name     string   // in metrics and logs
	path     string   // a segment in braces stands for any
	params   []string // the query parameters it takes
	open     bool     // answered whoever asks, and as often as it is asked
	admin    bool     // answered to admins only
	own      bool     // tells of no other ads than those it names: answered to who may see some ads only
	makes    []string // media types of its answers, of which Accept must name one; JSON when empty, and any for the page
	question bool     // asks the store: takes one of the places for running questions
	stream   bool     // may take as long as its reader reads
	changes  bool     // changes what is stored: asked with POST, and not by a page of another origin
	serve    func(http.ResponseWriter, *call) error
}

// Media types of answers.
const (
	mediaJSON      = "application/json"
	mediaProblem   = "application/problem+json"
	mediaEvents    = "text/event-stream"
	mediaYAML      = "application/yaml"
	mediaCSV       = "text/csv"
	mediaJSONLines = "application/x-ndjson"
)

// nowhere stands for the route of a request that has none.
var nowhere = &route{name: "none"}

// routes lists all that can be asked.
func (s *Server) makeRoutes() []*route {
	span := []string{"start_time", "to_time", "last", "filter_identifier"}
	replayParams := []string{"ad_id", "filter_identifier", "start_time", "to_time", "last", "source", "late"}
	routes := []*route{
		{name: "count", own: true, path: "/v1/ads/{ad_id}/aggregated_count", params: append(slices.Clone(span), "granularity"), question: true, serve: s.count},
		{name: "top", path: "/v1/ads/top_clicked_ads", params: append([]string{"n"}, span...), question: true, serve: s.top},
		{name: "counts", own: true, path: "/v1/ads/counts", params: append([]string{"ad_id"}, span...), question: true, serve: s.counts},
		{name: "ads", path: "/v1/ads", params: []string{"prefix", "limit"}, question: true, serve: s.ads},
		{name: "minute", path: "/v1/minutes/{minute}", question: true, serve: s.minute},
		{name: "export", admin: true, path: "/v1/export/counts", params: []string{"from", "to", "format", "filter_identifier"}, makes: []string{mediaCSV, mediaJSONLines, "application/jsonl", mediaJSON}, question: true, stream: true, serve: s.export},
		{
			name: "clicks", path: "/v1/clicks/count", params: []string{"where", "ad_id", "n", "start_time", "to_time", "last"},
			makes: []string{mediaJSONLines, "application/jsonl", mediaJSON}, question: true, stream: true, serve: s.clicks,
		},
		{name: "filters", path: "/v1/filters", question: true, serve: s.serveFilters},
		{name: "audit", admin: true, path: "/v1/audit", params: []string{"start_time", "to_time", "last"}, makes: []string{mediaJSONLines, "application/jsonl", mediaJSON}, question: true, stream: true, serve: s.audit},
		{name: "reconcile", admin: true, path: "/v1/reconcile", params: []string{"start_time", "to_time", "last", "source"}, makes: []string{mediaJSONLines, "application/jsonl", mediaJSON}, question: true, stream: true, serve: s.reconcile},
		{
			name: "repair", admin: true, path: "/v1/repairs", params: []string{"start_time", "to_time", "last", "source", "resume", "as_stored"},
			makes: []string{mediaJSONLines, "application/jsonl", mediaJSON}, question: true, stream: true, changes: true, serve: s.repair,
		},
		{name: "compare", admin: true, path: "/v1/replay", params: replayParams, makes: []string{mediaJSONLines, "application/jsonl", mediaJSON}, question: true, stream: true, serve: s.compare},
		{
			name: "replay", admin: true, path: "/v1/replays", params: append([]string{"resume", "inexact", "as_stored"}, replayParams...),
			makes: []string{mediaJSONLines, "application/jsonl", mediaJSON}, question: true, stream: true, changes: true, serve: s.replay,
		},
		{name: "lineage", path: "/v1/lineage", params: []string{"start_time"}, question: true, serve: s.lineage},
		{name: "stream", path: "/v1/stream", params: []string{"n", "last", "filter_identifier", "ad_id"}, makes: []string{mediaEvents}, serve: s.live},
		{name: "status", path: "/v1/status", serve: s.serveStatus},
		{name: "openapi", open: true, path: "/openapi.yaml", makes: []string{mediaYAML}, serve: serveYAML},
		{name: "openapi", open: true, path: "/openapi.json", serve: serveJSON},
		{name: "livez", open: true, path: "/livez", serve: s.serveLive},
		{name: "readyz", open: true, path: "/readyz", serve: s.serveReady},
	}
	for _, r := range routes {
		if len(r.makes) == 0 {
			r.makes = []string{mediaJSON}
		}
	}
	return routes
}

// match tells whether a path, as it was sent, is the route's, and returns what stands
// in it for the segment in braces.
func (r *route) match(path string) (segment string, ok bool) {
	before, rest, open := strings.Cut(r.path, "{")
	if !open {
		return "", path == r.path
	}
	_, behind, _ := strings.Cut(rest, "}")
	if segment, ok = strings.CutPrefix(path, before); ok {
		segment, ok = strings.CutSuffix(segment, behind)
	}
	return segment, ok && !strings.Contains(segment, "/")
}

// find looks the route up by the path as it was sent, so that %2F is part of an
// ad id and not a separator.
func (s *Server) find(c *call) error {
	path := c.URL.EscapedPath()
	if r := s.page[path]; r != nil {
		c.route = r
		return nil
	}
	for _, r := range s.routes {
		if segment, ok := r.match(path); ok {
			c.route, c.segment = r, segment
			return nil
		}
	}
	paths := make([]string, len(s.routes))
	for i, r := range s.routes {
		paths[i] = r.path
	}
	return notFound.about("", "nothing is at %s; there are %s (a / in an id is written %%2F), and a page for people at /", quote(path), strings.Join(paths, ", "))
}

// ad reads the ad id in the path.
func (c *call) ad() (string, error) {
	ad, err := url.PathUnescape(c.segment)
	if err != nil {
		return "", badAd.about("ad_id", "%s is not a percent-encoded id", quote(c.segment))
	}
	if c.segment == "." || c.segment == ".." {
		return "", badAd.about("ad_id", "write the id %s with %%2E for each dot", ad)
	}
	return ad, checkAd(ad)
}

// checkAd accepts what an ad id can be; anything else could only be answered with
// a zero that hides a mistake.
func checkAd(ad string) error {
	if ad == "" {
		return badAd.about("ad_id", "the id is empty")
	}
	return checkBegin("ad_id", ad)
}

// checkBegin accepts what an ad id can begin with.
func checkBegin(parameter, begin string) error {
	switch {
	case len(begin) > adBytesMax:
		return badAd.about(parameter, "the id has %d bytes; ids have at most %d", len(begin), adBytesMax)
	case !utf8.ValidString(begin):
		return badAd.about(parameter, "%s is not UTF-8", quote(begin))
	case strings.ContainsFunc(begin, unicode.IsControl):
		return badAd.about(parameter, "%s holds a control character, which no id does", quote(begin))
	}
	return nil
}
