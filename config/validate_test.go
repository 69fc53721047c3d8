package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// A knob without a limit has been forgotten; a limit without a knob is left over.
func TestEveryKnobHasALimit(t *testing.T) {
	t.Parallel()
	rules := limits()
	for k := range Keys() {
		if rules[k.Path].fault == nil || rules[k.Path].says == "" {
			t.Errorf("%s has no limit in limits.go", k.Path)
		}
		delete(rules, k.Path)
	}
	for path := range rules {
		t.Errorf("limits.go has %s, which is no key", path)
	}
	for _, r := range relations() {
		for _, path := range r.keys {
			if !slices.ContainsFunc(slices.Collect(Keys()), func(k Key) bool { return k.Path == path }) {
				t.Errorf("a relation names %s, which is no key", path)
			}
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	env := map[string]string{}
	for k := range Keys() {
		if other := env[k.Env]; other != "" {
			t.Errorf("%s and %s share the variable %s", k.Path, other, k.Env)
		}
		env[k.Env] = k.Path
		if k.Env == EnvFile {
			t.Errorf("%s has the variable that names the file", k.Path)
		}
		if !strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%s: the doc is not a sentence: %q", k.Path, k.Doc)
		}
	}
	if env["CLICKAGG_DATA_DIR"] != "data_dir" || env["CLICKAGG_INPUT_FIELDS_EVENT_ID"] != "input.fields.event_id" {
		t.Errorf("variables are not named as documented: %v", env)
	}
	for range Keys() { // stops when told to
		break
	}
}

type trial struct{ good, bad []string }

var long = strings.Repeat("a", 250)

// trials are values on both sides of each limit.
func trials() map[string]trial {
	all := map[string]trial{
		"data_dir":                     {good: []string{"/var/lib/clickagg", "ü/x y"}, bad: []string{"", "a\x00b", "a\nb", "\xff"}},
		"embedded.listen":              {good: []string{"127.0.0.1:0", "localhost:1", "[::1]:9092", "127.9.9.9:1"}, bad: []string{"", ":9092", "0.0.0.0:9092", "192.168.0.1:1", "example.com:1", "[::]:1", "127.0.0.1"}},
		"input.partitions":             {good: []string{"1", "1024"}, bad: []string{"0", "-1", "1025"}},
		"input.refresh":                {good: []string{"100ms", "1h"}, bad: []string{"0s", "61m"}},
		"aggregator.standby_group":     {good: []string{"", "b", "set-2"}, bad: []string{"a.b", "a b", long}},
		"embedded.sync_writes":         {good: []string{"true", "false"}},
		"input.topics":                 {good: []string{"a", "clicks,more", "clicks.*"}, bad: []string{"", "a,a", "a b", long, "clickagg.late", "*", "a*b"}},
		"input.fields.event_id":        {good: []string{"id"}, bad: []string{"", "ad_id", "a\tb", long}},
		"input.fields.ad_id":           {good: []string{"item id"}, bad: []string{"", "ts"}},
		"input.fields.ts":              {good: []string{"time"}, bad: []string{"", "event_id"}},
		"input.time_unit":              {good: []string{"s", "ms", "us", "ns"}, bad: []string{"", "m", "MS"}},
		"input.max_record_bytes":       {good: []string{"256", "1000000"}, bad: []string{"255", "1000001"}},
		"window.rollups":               {good: []string{"", "1h", "24h", "24h,1h"}, bad: []string{"1d", "1m", "1h,1h", "1h,24h,1h"}},
		"window.time_zone":             {good: []string{"UTC", "Asia/Kathmandu"}, bad: []string{"", "Local", "local", "CEST", "Europe/Nowhere", "+01:00"}},
		"window.size":                  {good: []string{"1s", "90s", "1500ms"}, bad: []string{"999ms", "0s", "7s", "61m", "7m", "-1m", "60ns"}},
		"window.allowed_lateness":      {good: []string{"0s", "8m45s"}, bad: []string{"8m46s", "-1s", "73h", "1us"}},
		"watermark.delay":              {good: []string{"1s", "4m"}, bad: []string{"999ms", "4m1s", "61m"}},
		"watermark.max_future":         {good: []string{"0s", "24h"}, bad: []string{"-1s", "25h"}},
		"watermark.idle_timeout":       {good: []string{"100ms", "1h"}, bad: []string{"0s", "61m"}},
		"watermark.skew_margin":        {good: []string{"0s", "15s"}, bad: []string{"-1s", "16s", "61m"}},
		"watermark.trusted_topics":     {good: []string{"", "clicks"}, bad: []string{"other", "clicks,clicks"}},
		"dedupe.horizon":               {good: []string{"6m15s", "168h"}, bad: []string{"6m14s", "169h", "0s"}},
		"dedupe.key":                   {good: []string{"", "ip,ad_id"}, bad: []string{"ip,ip", long}},
		"mapper.section_clicks":        {good: []string{"100", "200000"}, bad: []string{"99", "200001"}},
		"mapper.commit_interval":       {good: []string{"10ms", "1m"}, bad: []string{"0s", "61s"}},
		"mapper.heartbeat":             {good: []string{"10ms", "1m"}, bad: []string{"0s", "61s"}},
		"mapper.max_lead":              {good: []string{"1s", "168h"}, bad: []string{"0s", "169h"}},
		"aggregator.shards":            {good: []string{"1", "1024"}, bad: []string{"0", "1025"}},
		"aggregator.tick":              {good: []string{"10ms", "1m"}, bad: []string{"0s", "61s"}},
		"aggregator.top":               {good: []string{"1", "10000"}, bad: []string{"0", "10001"}},
		"aggregator.snapshot_interval": {good: []string{"100ms", "1h"}, bad: []string{"0s", "61m"}},
		"aggregator.max_ids":           {good: []string{"1000", "1000000000"}, bad: []string{"999", "1000000001"}},
		"aggregator.max_ads":           {good: []string{"100", "50000000"}, bad: []string{"99", "50000001"}},
		"hot.threshold":                {good: []string{"0", "1", "1000000000"}, bad: []string{"-1", "1000000001"}},
		"hot.spread":                   {good: []string{"0", "4"}, bad: []string{"-1", "1025"}},
		"reducer.partitions":           {good: []string{"1", "1024"}, bad: []string{"0", "1025"}},
		"ops.listen":                   {good: []string{"", "[::1]:9100"}, bad: []string{"0.0.0.0:9100", "127.0.0.1:8080"}},
		"log.level":                    {good: []string{"debug", "info", "warn", "error"}, bad: []string{"", "INFO", "trace"}},
		"log.format":                   {good: []string{"console", "json"}, bad: []string{"", "text"}},
		"correction.rows_per_second":   {good: []string{"1", "1000000"}, bad: []string{"0", "1000001"}},
		"writer.max_refused":           {good: []string{"0", "1000000"}, bad: []string{"-1", "1000001"}},
		"writer.retry_max_wait":        {good: []string{"100ms", "1h"}, bad: []string{"0s", "61m"}},
		"reconcile.schedule":           {good: []string{"1m", "24h", "00:00", "23:59"}, bad: []string{"", "59s", "7h", "24:00", "daily"}},
		"reconcile.range":              {good: []string{"1m", "744h"}, bad: []string{"59s", "745h"}},
		"shutdown.timeout":             {good: []string{"100ms", "1h"}, bad: []string{"0s", "61m"}},
	}
	maps.Copy(all, connectionTrials())
	maps.Copy(all, filterTrials())
	maps.Copy(all, apiTrials())
	return all
}

// filterTrials are those of what clicks are counted by.
func filterTrials() map[string]trial {
	return map[string]trial{
		"input.types": {good: []string{"", "a:int,b:string,c d:float,e:f:bool,country:int"}, bad: []string{"a", "a:", ":int", "a:number", "a:int,a:int", "a:int,a:bool", "ts:int", strings.Repeat("a", 129) + ":int"}},
		"filters": {
			good: []string{"", "[]", "[{id: kr, name: Korea, where: 'country == \"KR\"'}]", most(63)},
			bad: []string{
				"kr", "{}", "[", "[kr]", "[{}]", "[{id: kr}]", "[{id: '000', where: 'true'}]", "[{id: 'a b', where: 'true'}]", "[{id: a, where: 'zone == 1'}]",
				"[{id: a, where: 'true'}, {id: a, where: 'true'}]", "[{id: a, where: 'true', name: '" + long + "'}]", most(64),
			},
		},
	}
}

// most is so many filters.
func most(n int) string {
	var entries []string
	for i := range n {
		entries = append(entries, fmt.Sprintf("{id: f%d, where: 'true'}", i))
	}
	return "[" + strings.Join(entries, ", ") + "]"
}

func apiTrials() map[string]trial {
	entry := func(fields string) string { return "[{name: a, " + fields + "}]" }
	hash := "hash: '" + hashOf("a") + "'"
	return map[string]trial{
		"api.listen":             {good: []string{"127.0.0.1:0"}, bad: []string{"", "0.0.0.0:80", ":80", "192.168.0.1:80", "localhost:9092", "127.0.0.1:9092", "127.0.0.1"}},
		"api.url":                {good: []string{"", "http://h:1/x", "https://h"}, bad: []string{"h:1", "ftp://h", "http://", "http://u:p@h", "http://h?q", "http://h#f", "http://%"}},
		"api.insecure":           {good: []string{"true", "false"}},
		"api.tls.cert_file":      {good: []string{""}, bad: []string{"/c.pem"}},
		"api.tls.key_file":       {good: []string{""}, bad: []string{"/k.pem"}},
		"api.tls.client_ca_file": {good: []string{""}, bad: []string{"/ca.pem"}},
		"api.tokens": {
			good: []string{"", "[]", entry(hash), entry("subject: 'CN=a'"), entry(hash + ", scope: admin"), entry(hash + ", scope: read, ads: ['x*', y]")},
			bad: []string{
				"a", "{}", "[a]", "[", "[{}]", entry("scope: read"), entry(hash + ", subject: 'CN=a'"), entry("hash: '" + hashOf("a")[:70] + "'"), entry("hash: clickagg_A"),
				entry(hash + ", scope: write"), entry(hash + ", scopes: read"), entry(hash + ", scope: admin, ads: [x]"), entry(hash + ", ads: x"), entry(hash + ", ads: ['*']"),
				entry(hash + ", ads: ['']"), entry(hash + ", name: b"), entry("hash: 1"), "[{name: 'a b', " + hash + "}]", "[{name: a, " + hash + "}, {name: b, " + hash + "}]",
				"[{name: a, " + hash + "}, {name: a, subject: 'CN=a'}]", "[&x {name: a, " + hash + "}, *x]",
			},
		},
		"api.tokens_file":        {good: []string{"", "/t.yaml"}, bad: []string{"a\x00"}},
		"api.rate":               {good: []string{"0", "1000000"}, bad: []string{"-1", "1000001"}},
		"api.burst":              {good: []string{"1", "1000000"}, bad: []string{"0", "1000001"}},
		"api.max_connections":    {good: []string{"1", "1000000"}, bad: []string{"0", "1000001"}},
		"api.cors.origins":       {good: []string{"", "https://a.example,http://b:1"}, bad: []string{"*", "a.example", "https://a.example/", "https://A.example", "ftp://a", "https://a,https://a"}},
		"api.client.token":       {good: []string{""}, bad: []string{"clickagg_X"}},
		"api.client.ca_file":     {good: []string{"", "/ca.pem"}, bad: []string{"a\x00"}},
		"api.client.cert_file":   {good: []string{""}, bad: []string{"/c.pem"}},
		"api.client.key_file":    {good: []string{""}, bad: []string{"/k.pem"}},
		"api.client.server_name": {good: []string{"", "api"}, bad: []string{long}},
	}
}

func connectionTrials() map[string]trial {
	return map[string]trial{
		"kafka.brokers":             {good: []string{"", "localhost:1,[::1]:65535"}, bad: []string{"k", ":9092", "k:0", "k:65536", "k:x", "localhost:1,localhost:1", "a b:1", "kafka:9092"}},
		"kafka.replication":         {good: []string{"2", "100"}, bad: []string{"0", "101", "1"}},
		"kafka.min_insync":          {good: []string{"1", "3"}, bad: []string{"0", "4"}},
		"kafka.retention":           {good: []string{"1h", "87600h"}, bad: []string{"59m", "87601h", "-1h"}},
		"kafka.session_timeout":     {good: []string{"1s", "1h"}, bad: []string{"0s", "61m"}},
		"kafka.allow_plaintext":     {good: []string{"true", "false"}},
		"kafka.tls.enabled":         {good: []string{"true", "false"}},
		"kafka.tls.ca_file":         {good: []string{""}, bad: []string{"/ca.pem", "a\x00"}},
		"kafka.tls.cert_file":       {good: []string{""}, bad: []string{"/c.pem"}},
		"kafka.tls.key_file":        {good: []string{""}, bad: []string{"/k.pem"}},
		"kafka.tls.server_name":     {good: []string{""}, bad: []string{"kafka", long}},
		"kafka.sasl.mechanism":      {good: []string{"none"}, bad: []string{"plain", "scram-sha-256", "scram-sha-512", "gssapi", ""}},
		"kafka.sasl.user":           {good: []string{""}, bad: []string{"u", "a\nb"}},
		"kafka.sasl.password":       {good: []string{""}, bad: []string{"hunter2", "file:/nowhere", "env:NO_SUCH_VARIABLE", "cred:x", "file:relative"}},
		"cassandra.hosts":           {good: []string{"", "127.0.0.1:9042,localhost:9042"}, bad: []string{"k", "db:9042", "127.0.0.1:1,127.0.0.2:2"}},
		"cassandra.keyspace":        {good: []string{"a", "clicks_2"}, bad: []string{"", "A", "1a", "a-b", long}},
		"cassandra.datacenter":      {good: []string{"", "dc1"}, bad: []string{"a\nb", long}},
		"cassandra.replication":     {good: []string{"dc1:3", "a:1,b:2"}, bad: []string{"", "dc1", "dc1:0", ":3", "a:x", "a':1"}},
		"cassandra.consistency":     {good: []string{"local_quorum", "one", "all"}, bad: []string{"any", "", "ONE"}},
		"cassandra.user":            {good: []string{""}, bad: []string{"u"}},
		"cassandra.password":        {good: []string{""}, bad: []string{"hunter2"}},
		"cassandra.allow_plaintext": {good: []string{"true", "false"}},
		"cassandra.tls.enabled":     {good: []string{"true", "false"}},
		"cassandra.tls.ca_file":     {good: []string{""}, bad: []string{"/ca.pem"}},
		"cassandra.tls.cert_file":   {good: []string{""}, bad: []string{"/c.pem"}},
		"cassandra.tls.key_file":    {good: []string{""}, bad: []string{"/k.pem"}},
		"cassandra.tls.server_name": {good: []string{""}, bad: []string{"db"}},
		"cassandra.counts_ttl":      {good: []string{"1h", "175200h"}, bad: []string{"59m", "175201h"}},
		"cassandra.rankings_ttl":    {good: []string{"1h"}, bad: []string{"0s"}},
		"cassandra.lineage_ttl":     {good: []string{"1h"}, bad: []string{"0s"}},
		"cassandra.raw_ttl":         {good: []string{"1h"}, bad: []string{"0s"}},
		"cassandra.in_flight":       {good: []string{"1", "10000"}, bad: []string{"0", "10001"}},
		"cassandra.timeout":         {good: []string{"100ms", "5m"}, bad: []string{"99ms", "6m"}},
		"archive.after":             {good: []string{"0s", "1h", "696h"}, bad: []string{"59m", "-1h"}},
		"archive.url":               {good: []string{"", "/srv/archive", "s3://bucket/a"}, bad: []string{"s3://", "gs://b/x"}},
		"archive.s3.endpoint":       {good: []string{"", "http://127.0.0.1:9000"}, bad: []string{"h:1"}},
		"archive.s3.region":         {good: []string{"", "eu-1"}, bad: []string{long}},
		"archive.s3.access_key":     {good: []string{""}, bad: []string{"key"}},
		"archive.s3.secret_key":     {good: []string{""}, bad: []string{"key"}},
		"archive.s3.ca_file":        {good: []string{"", "/ca.pem"}, bad: []string{"a\x00"}},
		"snapshots.url":             {good: []string{"", "/srv/snapshots", "s3://bucket", "s3://bucket/a/b"}, bad: []string{"s3://", "gs://b/x", "a\x00", "s3:///x"}},
		"snapshots.s3.endpoint":     {good: []string{"", "http://127.0.0.1:9000"}, bad: []string{"h:1"}},
		"snapshots.s3.region":       {good: []string{"", "eu-1"}, bad: []string{long}},
		"snapshots.s3.access_key":   {good: []string{""}, bad: []string{"key"}},
		"snapshots.s3.secret_key":   {good: []string{""}, bad: []string{"key"}},
		"snapshots.s3.ca_file":      {good: []string{"", "/ca.pem"}, bad: []string{"a\x00"}},
		"kafka.topic_prefix":        {good: []string{"a", "A.b_c-9"}, bad: []string{"", ".", "..", "a b", "é", long}},
	}
}

// Each limit is tried on both sides.
func TestLimits(t *testing.T) {
	t.Parallel()
	cases := trials()
	for k := range Keys() {
		if cases[k.Path].good == nil {
			t.Errorf("%s is not tried", k.Path)
		}
	}
	for path, c := range cases {
		for _, text := range c.good {
			if _, err := Load(Sources{Flags: map[string]string{path: text}}); err != nil {
				t.Errorf("%s = %q is refused: %v", path, text, err)
			}
		}
		for _, text := range c.bad {
			_, err := Load(Sources{Flags: map[string]string{path: text}})
			if err == nil {
				t.Errorf("%s = %q is taken", path, text)
			} else if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s = %q: want one line that names the key, got %v", path, text, err)
			}
		}
	}
}

func TestRelationsNameValuesAndCure(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Window.AllowedLateness = 10 * time.Minute
	want := "dedupe.horizon: 10m is shorter than window.size 1m + window.allowed_lateness 10m + watermark.delay 15s, " +
		"so a repeated click could be counted twice; raise it to at least 11m15s or lower one of the others"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}

	c = Default()
	c.Window.AllowedLateness, c.Dedupe.Horizon, c.Kafka.Retention = 2*time.Hour, 3*time.Hour, time.Hour
	want = "kafka.retention: 1h is shorter than window.size 1m + window.allowed_lateness 2h + watermark.delay 15s, " +
		"so a click could leave the log before its window closes; raise it to at least 2h1m15s or lower one of the others"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}

	c = Default()
	c.API.Listen = "0.0.0.0:8080"
	want = `api.listen: "0.0.0.0:8080" can be reached from other machines, so it needs TLS (api.tls.cert_file, api.tls.key_file) and tokens ` +
		`('clickagg token new', then api.tokens or api.tokens_file); or listen on 127.0.0.1, or say --insecure where the network or a proxy sees to both`
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestArchiveCure: what is said to be low enough is a value that there can be.
func TestArchiveCure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		after, ttl time.Duration
		want       string
	}{
		{25 * time.Hour, 48 * time.Hour, "a day; lower it to at most 24h or raise cassandra.raw_ttl to 49h"},
		{2 * time.Hour, 25 * time.Hour, "a day; lower it to at most 1h or raise cassandra.raw_ttl to 26h"},
		{time.Hour, 24 * time.Hour, "a day; raise cassandra.raw_ttl to 25h"},
		{time.Hour, 25 * time.Hour, ""},
	} {
		c := Default()
		c.Archive.After, c.Cassandra.RawTTL = test.after, test.ttl
		if got := archiveFault(c); !strings.HasSuffix(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%v of %v: %q, want %q", test.after, test.ttl, got, test.want)
		}
	}
}

func TestZeroConfigIsRefusedNotPanickedOn(t *testing.T) {
	t.Parallel()
	if err := (Config{}).Validate(); err == nil {
		t.Error("taken")
	}
}
