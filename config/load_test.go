package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// write puts a configuration file into a directory of its own.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	got, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, Default()) {
		t.Errorf("nothing set:\n%+v\nwant the defaults:\n%+v", got, Default())
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := write(t, "window:\n  size: 10s\n  allowed_lateness: 1m\nwatermark:\n  delay: 11s\nlog:\n")
	got, err := Load(Sources{
		File:  file,
		Env:   []string{"HOME=/root", "CLICKAGG_CONFIG=x.yaml", "CLICKAGG_WINDOW_SIZE=20s", "CLICKAGG_WINDOW_ALLOWED_LATENESS=2m"},
		Flags: map[string]string{"window.size": "30s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Window.Size, want.Window.AllowedLateness = 30*time.Second, 2*time.Minute
	want.Watermark.Delay = 11 * time.Second
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// Every key can be set from each source, to something other than its default.
func TestEveryKeyFromEverySource(t *testing.T) {
	t.Parallel()
	secret, fault := parseSecret("file:"+write(t, "hunter2\n"), false)
	if fault != "" {
		t.Fatal(fault)
	}
	tls := TLS{true, "/ca.pem", "/cert.pem", "/key.pem", "name"}
	want := Config{
		DataDir: "d",
		Kafka: Kafka{
			Brokers: []string{"k1:9092", "[::1]:9093"}, TopicPrefix: "other", Replication: 5, MinInsync: 4, Retention: 48 * time.Hour,
			SessionTimeout: 7 * time.Second, AllowPlaintext: true, TLS: tls, SASL: SASL{"scram-sha-512", "u", secret},
		},
		Cassandra: Cassandra{
			Hosts: []string{"c1:9042"}, Keyspace: "k", Datacenter: "dc", Replication: []string{"dc:1"}, Consistency: "one", User: "v", Password: secret,
			AllowPlaintext: true, TLS: tls, CountsTTL: time.Hour, RankingsTTL: 2 * time.Hour, LineageTTL: 3 * time.Hour, RawTTL: 40 * time.Hour, InFlight: 3, Timeout: time.Second,
		},
		Snapshots: Snapshots{URL: "s3://b/p", S3: S3{"https://s3.example", "eu", secret, secret, "/ca.pem"}},
		Archive:   Archive{URL: "s3://b/a", After: 2 * time.Hour, S3: S3{"https://s3.example", "eu", secret, secret, "/ca.pem"}},
		Embedded:  Embedded{Listen: "localhost:0", SyncWrites: false},
		Input:     Input{Topics: []string{"a", "b"}, Partitions: 7, Refresh: time.Minute, Fields: Fields{"id", "ad", "123"}, TimeUnit: "us", Types: []string{"a:b:int"}, MaxRecordBytes: 1000},
		Filters: []Filter{
			{ID: "kr", Name: "Korea: {all}", Where: "country == \"KR\"\n  and ts > 0"},
			{ID: "1e3", Where: `$env["a:b"] in [1, 2]`},
		},
		Window:     Window{Size: 5 * time.Minute, AllowedLateness: 90 * time.Second, Rollups: []string{"24h"}, TimeZone: "Europe/Berlin"},
		Watermark:  Watermark{time.Minute, 2 * time.Second, 1500 * time.Millisecond, 250 * time.Millisecond, []string{"b"}},
		Dedupe:     Dedupe{Horizon: time.Hour, Key: []string{"ip", "ad"}},
		Mapper:     Mapper{1000, 2 * time.Second, time.Second, time.Minute},
		Aggregator: Aggregator{16, "b", 2 * time.Second, 10, time.Minute, 5000, 6000},
		Hot:        Hot{5000, 8},
		Reducer:    Reducer{Partitions: 3},
		Writer:     Writer{7, 3 * time.Second},
		Reconcile:  Reconcile{"1h", 2 * time.Hour},
		Correction: Correction{5},
		API: API{
			Listen: "[::1]:8081", URL: "https://clicks.example/base", Insecure: true, TLS: APITLS{"/cert.pem", "/key.pem", "/ca.pem"},
			Tokens: []Token{
				{Name: "reports", Hash: hashOf("a"), Scope: "admin"},
				{Name: "acme", Subject: "CN=acme,O=A: {b}", Scope: "read", Ads: []string{"shoes-*", "1e3", "a,b"}},
			},
			TokensFile: "/tokens.yaml", Rate: 7, Burst: 8, MaxConnections: 9, CORS: CORS{[]string{"https://a.example", "http://b:1"}},
			Client: APIClient{secret, "/ca.pem", "/cert.pem", "/key.pem", "name"},
		},
		Ops:      Ops{Listen: "127.0.0.1:9100"},
		Log:      Log{"debug", "json"},
		Shutdown: Shutdown{Timeout: time.Minute},
	}
	flags, env := map[string]string{}, []string{}
	fallback := reflect.ValueOf(Default())
	for n := range want.nodes() {
		if n.isSection() {
			continue
		}
		text := show(n.value.Interface())
		flags[n.path] = text
		env = append(env, envName(n.path)+"="+text)
		for d := range fallback.Interface().(Config).nodes() {
			if d.path == n.path && reflect.DeepEqual(d.value.Interface(), n.value.Interface()) {
				t.Errorf("%s: this test sets it to its default and would not notice if it were not read", n.path)
			}
		}
	}
	for name, s := range map[string]Sources{
		"file":  {File: write(t, string(want.Print()))},
		"env":   {Env: env},
		"flags": {Flags: flags},
	} {
		got, err := Load(s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":              {},
		" ":             {},
		"a:1":           {"a:1"},
		"a:1,b:2":       {"a:1", "b:2"},
		" a:1 ,\tb:2  ": {"a:1", "b:2"},
	} {
		got, err := Load(Sources{Env: []string{"CLICKAGG_KAFKA_ALLOW_PLAINTEXT=true", "CLICKAGG_KAFKA_BROKERS=" + text}})
		if err != nil || !reflect.DeepEqual(got.Kafka.Brokers, want) {
			t.Errorf("%q: got %q, %v; want %q", text, got.Kafka.Brokers, err, want)
		}
	}
}

// An empty value is a value: it is not mistaken for an absent one.
func TestEmptyOverridesWhatStandsBelow(t *testing.T) {
	t.Parallel()
	file := write(t, "ops: {listen: '127.0.0.1:9100'}\nkafka: {brokers: ['localhost:1']}\n")
	got, err := Load(Sources{File: file, Env: []string{"CLICKAGG_OPS_LISTEN=", "CLICKAGG_KAFKA_BROKERS="}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Ops.Listen != "" || len(got.Kafka.Brokers) != 0 {
		t.Errorf("ops.listen %q, kafka.brokers %q; want both empty", got.Ops.Listen, got.Kafka.Brokers)
	}
}

func TestFaultsFromFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"bare number", "window:\n  size: 60\n", `window.size: a number without a unit would be 60ns; write 60s (c.yaml:2:9)`},
		{"bare fraction", "window: {size: 1.5}", `window.size: a number without a unit would be 1.5ns; write 1.5s (c.yaml:1:16)`},
		{"bare zero in quotes", "watermark: {delay: '0'}", `watermark.delay: a number without a unit would be 0ns; write 0s (c.yaml:1:20)`},
		{"no duration", "window: {size: 1d}", `window.size: "1d" is not a duration; write it like 500ms, 90s, 15m or 24h (h is the largest unit) (c.yaml:1:16)`},
		{"unknown key", "window:\n  sise: 60s\n", `window.sise: no such key; did you mean window.size? (c.yaml:2:3)`},
		{"swapped letters", "log: {leevl: info}", `log.leevl: no such key; did you mean log.level? (c.yaml:1:7)`},
		{"unknown section", "kafak: {}\n", `kafak: no such key; did you mean kafka? (c.yaml:1:1)`},
		{"wrong case", "Window: {size: 60s}", `Window: no such key; did you mean window? (c.yaml:1:1)`},
		{"wrong section", "horizon: 10m", `horizon: no such key; did you mean dedupe.horizon? (c.yaml:1:1)`},
		{"nothing near", "zebra: 1", `zebra: no such key (c.yaml:1:1)`},
		{"key with odd letters", "\"a\\nb\": 1", `"a\nb": no such key (c.yaml:1:1)`},
		{"key twice", "window:\n  size: 1m\n  size: 2m\n", `window.size: set twice, first at 2:3 (c.yaml:3:3)`},
		{"section twice", "log: {}\nlog: {}\n", `log: set twice, first at 1:1 (c.yaml:2:1)`},
		{"dotted key", "window.size: 1m\n", `window.size: a file does not nest by dots; indent the words under each other (c.yaml:1:1)`},
		{"text for a section", "window: 1m\n", `window: the keys of a section are meant here, not text (c.yaml:1:9)`},
		{"list at the top", "- window\n", `c.yaml:1:1: the keys of a section are meant here, not a list`},
		{"section for text", "data_dir: {a: b}\n", `data_dir: text is meant here, not a section (c.yaml:1:11)`},
		{"list for a number", "reducer: {partitions: [1]}\n", `reducer.partitions: a number is meant here, not a list (c.yaml:1:23)`},
		{"number for text", "data_dir: 12\n", `data_dir: text is meant here, not a number; write "12" in quotes (c.yaml:1:11)`},
		{"switch for text", "data_dir: true\n", `data_dir: text is meant here, not true or false; write "true" in quotes (c.yaml:1:11)`},
		{"nothing for text", "data_dir:\n", `data_dir: has no value; write "" for an empty text or leave the key out (c.yaml:1:10)`},
		{"nothing for a number", "reducer: {partitions: ~}\n", `reducer.partitions: has no value; write one or leave the key out (c.yaml:1:23)`},
		{"word for a number", "reducer: {partitions: two}\n", `reducer.partitions: "two" is not a whole number in plain digits (c.yaml:1:23)`},
		{"octal", "reducer: {partitions: 010}\n", `reducer.partitions: "010" is not a whole number in plain digits (c.yaml:1:23)`},
		{"huge number", "reducer: {partitions: 99999999999999999999}\n", `reducer.partitions: "99999999999999999999" is not a whole number in plain digits (c.yaml:1:23)`},
		{"yes", "embedded: {sync_writes: yes}\n", `embedded.sync_writes: "yes" is neither true nor false (c.yaml:1:25)`},
		{"text for a list", "kafka: {brokers: 'k:1'}\n", `kafka.brokers: a list is meant here, not text; write [k:1] (c.yaml:1:18)`},
		{"number in a list", "input: {topics: [a, 1]}\n", `input.topics: text is meant here, not a number; write "1" in quotes (c.yaml:1:21)`},
		{"list in a list", "input: {topics: [[a]]}\n", `input.topics: text is meant here, not a list (c.yaml:1:18)`},
		{"alias", "data_dir: &a x\nkafka: {topic_prefix: *a}\n", `kafka.topic_prefix: text is meant here, not an alias (aliases are not read, write the value out) (c.yaml:2:23)`},
		{"aliased section", "input: &a {}\nwindow: *a\n", `window: the keys of a section are meant here, not an alias (aliases are not read, write the value out) (c.yaml:2:9)`},
		{"merge key", "window: {<<: {size: 1m}}\n", `window.<<: no such key; merge keys are not read, write the values out (c.yaml:1:10)`},
		{"tagged", "reducer: {partitions: !!binary MQ==}\n", `reducer.partitions: a number is meant here, not a value tagged !!binary (c.yaml:1:23)`},
		{"key is a list", "? [a]\n: b\n", `c.yaml:1:3: a key is a word, not a list`},
		{"two documents", "log: {}\n---\nlog: {}\n", `c.yaml:2:1: a second document begins here; a configuration is one document`},
		{"tab", "window:\n\tsize: 1m\n", `c.yaml:2: is not YAML: found character that cannot start any token; line 2 is indented with a tab, write spaces`},
		{"no YAML", "window: [\n", `c.yaml:1: is not YAML: did not find expected node content`},
		{"not UTF-8", "data_dir: \"\xff\"\n", `c.yaml: is not UTF-8 text`},
		{"too large", strings.Repeat("#", maxFile+1), `c.yaml: is over 1 MiB; this is not a configuration file`},
		{"filter", "filters:\n- {id: kr, where: 'true'}\n- id: us\n  where: |\n    country == 'US' and\n    contry == 'U'\n", `filters: filter us: line 2, column 1: there is no field contry; is country meant? Other fields are declared in input.types (c.yaml:3:3)`},
		{"filter twice", "filters:\n- {id: kr, where: 'true'}\n- {id: kr, where: 'false'}\n", `filters: filter kr is defined twice, first by entry 1 (c.yaml:3:3)`},
		{"filters without end", "filters: [" + strings.Repeat("{id: kr}, ", 2) + "]\n", `filters: filter kr: line 1, column 1: the predicate is empty (c.yaml:1:11)` + "\n" + `filters: filter kr: line 1, column 1: the predicate is empty (c.yaml:1:21)`},
		{"filter with another key", "filters: [{id: kr, were: 'true'}]\n", `filters: an entry has no were; it has id, name, where (c.yaml:1:20)`},
		{"text for filters", "filters: kr\n", `filters: a list of entries is meant here, not text (c.yaml:1:10)`},
		{"text for a filter", "filters: [kr]\n", `filters: an entry with id, name, where is meant here, not text (c.yaml:1:11)`},
		{"number in a filter", "filters: [{id: 12, where: 'true'}]\n", `filters: text is meant here, not a number; write "12" in quotes (c.yaml:1:16)`},
		{"filter key twice", "filters: [{id: a, id: b, where: 'true'}]\n", `filters: id is set twice (c.yaml:1:19)`},
		{"a limit", "reducer:\n  partitions: 0\n", `reducer.partitions: 0 is not within 1 to 1024 (c.yaml:2:15)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, c.file)
			_, err := Load(Sources{File: path})
			if err == nil {
				t.Fatal("taken")
			}
			if got := strings.ReplaceAll(err.Error(), path, "c.yaml"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := Load(Sources{File: "no/such.yaml"})
	if want := "no/such.yaml: cannot be read: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestFilesThatSetNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# only a comment\n", "---\n", "null\n", "{}\n", "window:\n", "\ufeffwindow: {}\n"} {
		got, err := Load(Sources{File: write(t, text)})
		if err != nil || !reflect.DeepEqual(got, Default()) {
			t.Errorf("%q: %+v, %v; want the defaults", text, got, err)
		}
	}
}

func TestFaultsFromEnvAndFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, env, flag, text, want string }{
		{name: "unknown variable", env: "CLICKAGG_KAFAK_BROKERS=k:1",
			want: `CLICKAGG_KAFAK_BROKERS: no such key; did you mean CLICKAGG_KAFKA_BROKERS? (environment variable)`},
		{name: "lower case variable", env: "CLICKAGG_window_size=1m",
			want: `CLICKAGG_window_size: no such key; did you mean CLICKAGG_WINDOW_SIZE? (environment variable)`},
		{name: "bare number in a variable", env: "CLICKAGG_WINDOW_SIZE=60",
			want: `window.size: a number without a unit would be 60ns; write 60s (environment variable CLICKAGG_WINDOW_SIZE)`},
		{name: "empty number", env: "CLICKAGG_REDUCER_PARTITIONS=",
			want: `reducer.partitions: "" is not a whole number in plain digits (environment variable CLICKAGG_REDUCER_PARTITIONS)`},
		{name: "empty entry", env: "CLICKAGG_INPUT_TOPICS=a,,b",
			want: `input.topics: "a,,b" has an empty entry; separate entries with one comma each (environment variable CLICKAGG_INPUT_TOPICS)`},
		{name: "unknown flag", flag: "windw.size", text: "1m",
			want: `windw.size: no such key; did you mean window.size? (flag)`},
		{name: "bare number in a flag", flag: "window.size", text: "60",
			want: `window.size: a number without a unit would be 60ns; write 60s (flag --window.size)`},
		{name: "relation over two sources", env: "CLICKAGG_WATERMARK_DELAY=1s", flag: "watermark.skew_margin", text: "2s",
			want: `watermark.skew_margin: 2s is more than watermark.delay 1s, so an idle partition would close windows later than a busy one; lower it to at most 1s or raise watermark.delay (flag --watermark.skew_margin, environment variable CLICKAGG_WATERMARK_DELAY)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := Sources{Flags: map[string]string{}}
			if c.env != "" {
				s.Env = []string{c.env}
			}
			if c.flag != "" {
				s.Flags[c.flag] = c.text
			}
			_, err := Load(s)
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// One run tells everything; what follows only from a refused value is left out.
func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	path := write(t, "window:\n  size: 60\n  allowed_lateness: 2h\nlog:\n  level: loud\nshards: 8\nreducer:\n  partitions: 0\n")
	_, err := Load(Sources{
		File:  path,
		Env:   []string{"CLICKAGG_INPUT_PARTITIONS=many", "CLICKAGG_NOPE=1"},
		Flags: map[string]string{"reducer.partitions": "2000"},
	})
	want := strings.ReplaceAll(`window.size: a number without a unit would be 60ns; write 60s (c.yaml:2:9)
shards: no such key; did you mean aggregator.shards? (c.yaml:6:1)
input.partitions: "many" is not a whole number in plain digits (environment variable CLICKAGG_INPUT_PARTITIONS)
CLICKAGG_NOPE: no such key (environment variable)
reducer.partitions: 2000 is not within 1 to 1024 (flag --reducer.partitions)
log.level: "loud" is none of debug, info, warn, error (c.yaml:5:10)`, "c.yaml", path)
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func FuzzFile(f *testing.F) {
	f.Add(string(Example()))
	f.Add(string(Default().Print()))
	f.Add("window: {size: 60, <<: *a}\n? [a]\n: &a !!binary b\n")
	f.Add("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n")
	f.Add("kafka:\n  brokers:\n  - 'k:1'\n  - !t 2\n---\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := newLoader()
		l.readYAML("c.yaml", []byte(text))
		c := l.config()
		for _, line := range l.faults {
			if strings.ContainsRune(line.Error(), '\n') {
				t.Errorf("a fault of more than one line: %q", line.Error())
			}
		}
		if len(l.faults) > 0 || len(c.faults()) > 0 {
			return
		}
		again := newLoader()
		again.readYAML("c.yaml", c.Print())
		if err := joined(again.faults); err != nil {
			t.Fatalf("what was printed is refused: %v\n%s", err, c.Print())
		}
		if got := again.config(); !reflect.DeepEqual(got, c) {
			t.Errorf("printed and read again: %+v\nwas %+v", got, c)
		}
	})
}

// A configuration that does not speak of filters is another one than one that wants none.
func TestFiltersThatAreNotSet(t *testing.T) {
	t.Parallel()
	for text, set := range map[string]bool{"": false, "log: {level: info}": false, "filters: []": true} {
		l := newLoader()
		l.readYAML("c.yaml", []byte(text))
		c := l.config()
		if (c.Filters != nil) != set || len(c.Filters) > 0 {
			t.Errorf("%q: %#v", text, c.Filters)
		}
		if printed := strings.Contains(string(c.Print()), "\nfilters: []\n"); printed != set {
			t.Errorf("%q: printed %v", text, printed)
		}
	}
}
