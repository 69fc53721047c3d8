package api

import (
	"bytes"
	"fmt"
	"mime"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// document is what the tests need to know of openapi.yaml.
type document struct {
	Paths map[string]struct {
		Get, Post operation
	}
	Components struct {
		Parameters map[string]parameter
		Schemas    map[string]struct {
			Properties map[string]struct {
				Words []string `yaml:"x-words"`
			}
		}
	}
}

type operation struct {
	Parameters []parameter
	Responses  map[string]struct {
		Content map[string]any
	}
}

type parameter struct {
	Name, In string
	Ref      string `yaml:"$ref"`
}

func readDocument(t *testing.T) (d document) {
	t.Helper()
	if err := yaml.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The document and the routes name the same paths, parameters and media types.
func TestDocumentAndRoutesAgree(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	s := makeServer(t, Config{}, someClicks())
	defer s.Close()
	for _, r := range s.routes {
		methods, ok := d.Paths[r.path]
		if !ok {
			t.Errorf("%s is not in the document", r.path)
			continue
		}
		p, other := methods.Get, methods.Post
		if r.changes {
			p, other = other, p
		}
		if other.Responses != nil || p.Responses == nil {
			t.Errorf("%s has another method in the document", r.path)
		}
		delete(d.Paths, r.path)
		var named, segments []string
		for _, q := range p.Parameters {
			if q.Ref != "" {
				q = d.Components.Parameters[q.Ref[strings.LastIndexByte(q.Ref, '/')+1:]]
			}
			if q.In == "path" {
				segments = append(segments, "{"+q.Name+"}")
			} else {
				named = append(named, q.Name)
			}
		}
		want := slices.Sorted(slices.Values(r.params))
		if slices.Sort(named); !slices.Equal(named, want) || strings.Count(r.path, "{") != len(segments) {
			t.Errorf("%s takes %v, and in the document %v and %v", r.path, want, named, segments)
		}
		for media := range p.Responses["200"].Content {
			if !slices.Contains(r.makes, media) {
				t.Errorf("%s makes %v, and in the document %s", r.path, r.makes, media)
			}
		}
	}
	for path := range d.Paths {
		t.Errorf("%s is in the document and no route", path)
	}
}

// The document names every kind of problem there is in problem.go, and no other.
func TestDocumentNamesProblems(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, m := range regexp.MustCompile(`kind\{"(\w+)"`).FindAllStringSubmatch(string(text), -1) {
		words = append(words, m[1])
	}
	slices.Sort(words)
	if got := readDocument(t).Components.Schemas["Problem"].Properties["type"].Words; len(words) < 20 || !slices.Equal(got, words) {
		t.Errorf("the document has %v, problem.go %v", got, words)
	}
}

// contract is the document as JSON, with its schemas (JSON Schema 2020-12).
type contract struct {
	doc      any
	compiler *jsonschema.Compiler
}

func readContract(t *testing.T) *contract {
	t.Helper()
	text, err := openAPIJSON()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return &contract{doc, c}
}

// schema finds what the document says at some steps from its root, through references,
// and false where it says nothing.
func (c *contract) schema(t *testing.T, steps ...string) (*jsonschema.Schema, bool) {
	t.Helper()
	at, pointer := c.doc, "#"
	for i, step := range steps {
		m, _ := at.(map[string]any)
		if ref, ok := m["$ref"].(string); ok {
			return c.schema(t, append(strings.Split(strings.TrimPrefix(ref, "#/"), "/"), steps[i:]...)...)
		}
		if at = m[step]; at == nil {
			return nil, false
		}
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(step)
	}
	s, err := c.compiler.Compile("openapi.json" + pointer)
	if err != nil {
		t.Fatal(err)
	}
	return s, true
}

// check holds an answer to the schema of its path, status and media type.
func (c *contract) check(t *testing.T, path string, r reply) {
	t.Helper()
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	status := strconv.Itoa(r.StatusCode)
	s, ok := c.schema(t, "paths", path, "get", "responses", status, "content", media, "schema")
	if !ok {
		s, ok = c.schema(t, "paths", path, "get", "responses", "default", "content", media, "schema")
	}
	if !ok {
		t.Errorf("HTTP %s with %s from %s is not in the document", status, media, path)
		return
	}
	var body any = r.body
	if strings.HasSuffix(media, "json") && media != mediaJSONLines {
		if body, err = jsonschema.UnmarshalJSON(strings.NewReader(r.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Validate(body); err != nil {
		t.Errorf("HTTP %s from %s: %v\n%s", status, path, err, r.body)
	}
}

// Every answer and every refusal of the tests is as the document says.
func TestAnswersAreAsDocumented(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	s := makeServer(t, Config{}, filtered())
	run(t, s)
	paths := []string{"/v1/minutes/2019-11-24T11:58:00Z", "/v1/minutes/now", "/v1/filters", export, export + "?format=json", "/openapi.json", "/openapi.yaml"}
	for _, a := range answers {
		paths = append(paths, a.path)
	}
	for _, r := range refusals {
		paths = append(paths, r.path)
	}
	for _, path := range paths {
		escaped, _, _ := strings.Cut(path, "?")
		for _, r := range s.routes {
			if _, ok := r.match(escaped); ok { // of other paths nothing can be documented
				c.check(t, r.path, get(t, s.URL()+path))
			}
		}
	}
	// Of lines of JSON the document has the schemas apart.
	for name, at := range map[string]string{
		"AuditLine":     start(t, audited()) + "/v1/audit?start_time=2019-11-24T11:00:00Z&to_time=2019-11-24T12:00:00Z",
		"ReconcileLine": startReconciling(t, &reconciler{}) + reconciled,
		"ReplayLine":    startReplaying(t, &replayer{}) + "/v1/replay?" + replayed,
		"ClicksLine":    startRecounting(t, &recounter{}) + "/v1/clicks/count?last=5m&where=" + url.QueryEscape(`country == "KR"`),
	} {
		s, _ := c.schema(t, "components", "schemas", name)
		body := get(t, at).body
		for line := range strings.Lines(body) {
			if said, err := jsonschema.UnmarshalJSON(strings.NewReader(line)); err != nil || s.Validate(said) != nil {
				t.Errorf("%v, %v\n%s", err, s.Validate(said), line)
			}
		}
		if strings.Count(body, "\n") < 2 {
			t.Errorf("%s: %s", at, body)
		}
	}
	unready := makeServer(t, Config{}, someClicks(), Unready{"mapper clicks/0", "restoring"})
	run(t, unready)
	c.check(t, "/readyz", get(t, unready.URL()+"/readyz"))
}

// So is what the document's own schemas are to say of what streams tell.
func TestEventsAreAsDocumented(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	for name, v := range map[string]any{
		"State":   State{CompleteUntil: Time(at(0)), HoldsBack: "x", ClicksPerSecond: new(1.5), Rejected: map[string]int64{"malformed": 1}},
		"Problem": slowReader.about("", "slow"),
		"Status": Status{
			Roles:      []Role{{Name: "mapper", Partitions: []Partition{{Topic: "clicks", Group: "b", State: "waiting", Next: -1, End: -1, Lag: -1, HoldsBack: "x", WindowsOpen: 1, IDs: 1, Ads: 1, Unsaid: 1}}}},
			Accounting: []Accounting{{Source: "clicks/0", Pending: -1}}, Rejected: map[string]int64{"malformed": 1}, Hot: []HotAd{{Ad: "a", Shards: 2}},
		},
	} {
		s, _ := c.schema(t, "components", "schemas", name)
		text, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		said, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(said); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

// A question the document allows is answered, and one it does not is refused: the bounds
// of its schemas are those of the server.
func TestBoundsAreAsDocumented(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	for _, test := range []struct {
		path, name string
		allowed    []any
		refused    []any
	}{
		{"/v1/ads/top_clicked_ads", "n", []any{1, topMax}, []any{0, topMax + 1}},
		{"/v1/ads", "limit", []any{1, adsMax}, []any{0, adsMax + 1}},
		{"/v1/ads", "prefix", []any{"", strings.Repeat("x", adBytesMax)}, []any{strings.Repeat("x", adBytesMax+1)}},
		{"/v1/ads/{ad_id}/aggregated_count", "granularity", []any{"1m", "1h", "1d"}, []any{"5m", ""}},
		{"/v1/export/counts", "format", []any{"csv", "json"}, []any{"xml", ""}},
	} {
		s := c.parameter(t, test.path, test.name)
		base := start(t, someClicks())
		for want, values := range map[bool][]any{true: test.allowed, false: test.refused} {
			for _, v := range values {
				r := get(t, base+strings.Replace(test.path, "{ad_id}", "a", 1)+"?"+url.Values{test.name: {fmt.Sprint(v)}}.Encode())
				if (s.Validate(v) == nil) != want || (r.StatusCode == 200) != want {
					t.Errorf("%s=%.20v: HTTP %d, and the document says %v", test.name, v, r.StatusCode, s.Validate(v))
				}
			}
		}
	}
}

func (c *contract) parameter(t *testing.T, path, name string) *jsonschema.Schema {
	t.Helper()
	list := c.doc.(map[string]any)["paths"].(map[string]any)[path].(map[string]any)["get"].(map[string]any)["parameters"].([]any)
	for i, p := range list {
		if p.(map[string]any)["name"] == name {
			s, err := c.compiler.Compile(fmt.Sprintf("openapi.json#/paths/%s/get/parameters/%d/schema",
				strings.NewReplacer("/", "~1", "{", "%7B", "}", "%7D").Replace(path), i))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	s, ok := c.schema(t, "components", "parameters", name, "schema")
	if !ok {
		t.Fatalf("%s has no %s", path, name)
	}
	return s
}
