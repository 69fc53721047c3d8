package doors

import (
	"slices"
	"strings"
	"testing"
)

// planted are small rooms, each with one broken rule, or with none where want
// is empty: a rule that cannot fail guards nothing.
var planted = []struct {
	name, file, text string
	want             string // "line: words of the rule"
}{
	{"stage imports stage", "mapper/a.go", "package mapper\n\nimport _ \"github.com/clickagg/clickagg/reducer\"\n", "3: stages never import each other"},
	{"stage imports a stage's pure room", "reducer/a.go", "package reducer\n\nimport _ \"github.com/clickagg/clickagg/aggregator/window\"\n", "3: stages never import each other"},
	{"stage's test imports stage", "aggregator/a_test.go", "package aggregator\n\nimport _ \"github.com/clickagg/clickagg/mapper\"\n", "3: stages never import each other"},
	{"writer imports stage", "storage/writer/a.go", "package writer\n\nimport _ \"github.com/clickagg/clickagg/reducer\"\n", "3: stages never import each other"},
	{"writer imports storage", "storage/writer/a.go", "package writer\n\nimport _ \"github.com/clickagg/clickagg/storage\"\n", ""},
	{"stage imports its own pure room", "mapper/a.go", "package mapper\n\nimport _ \"github.com/clickagg/clickagg/mapper/rule\"\n", ""},
	{"cmd imports stages", "cmd/clickagg/a.go", "package main\n\nimport (\n\t_ \"github.com/clickagg/clickagg/mapper\"\n\t_ \"github.com/spf13/cobra\"\n)\n", ""},
	{"config imports ours", "config/a.go", "package config\n\nimport _ \"github.com/clickagg/clickagg/internal/click\"\n", "3: config opens nothing of ours"},

	{"kafka-go away from home", "mapper/a.go", "package mapper\n\nimport _ \"github.com/segmentio/kafka-go/protocol\"\n", "3: github.com/segmentio/kafka-go may be imported in internal/stream/kafka only"},
	{"kafka-go at home", "internal/stream/kafka/a.go", "package kafka\n\nimport _ \"github.com/segmentio/kafka-go\"\n", ""},
	{"kafka-go in an end-to-end test", "internal/e2e/a_test.go", "package e2e\n\nimport _ \"github.com/segmentio/kafka-go\"\n", ""},
	{"kafka-go in end-to-end code", "internal/e2e/a.go", "package e2e\n\nimport _ \"github.com/segmentio/kafka-go\"\n", "3: github.com/segmentio/kafka-go may be"},
	{"kfake away from home", "internal/stream/kafka/a_test.go", "package kafka\n\nimport _ \"github.com/twmb/franz-go/pkg/kfake\"\n", "3: github.com/twmb/franz-go may be imported in internal/stream/embedded only"},
	{"viper away from home", "cmd/clickagg/a.go", "package main\n\nimport _ \"github.com/spf13/viper\"\n", "3: github.com/spf13/viper may be imported in config only"},
	{"cobra away from home", "internal/api/a.go", "package api\n\nimport _ \"github.com/spf13/cobra\"\n", "3: github.com/spf13/cobra may be imported in cmd only"},
	{"pflag away from home", "config/a.go", "package config\n\nimport _ \"github.com/spf13/pflag\"\n", "3: github.com/spf13/pflag may be"},
	{"engine away from home", "storage/a.go", "package storage\n\nimport _ \"github.com/cockroachdb/pebble/v2\"\n", "3: github.com/cockroachdb/pebble may be imported in storage/embedded only"},
	{"any client in the tests' servers", "internal/servers/a.go", "package servers\n\nimport _ \"github.com/gocql/gocql\"\n", ""},
	{"the tests' servers in a test", "mapper/a_test.go", "package mapper\n\nimport _ \"github.com/clickagg/clickagg/internal/servers\"\n", ""},
	{"the tests' servers in the product", "cmd/clickagg/a.go", "package main\n\nimport _ \"github.com/clickagg/clickagg/internal/servers\"\n", "3: internal/servers is for tests and benchmarks: only they import it"},
	{"the tests' servers in a benchmark", "internal/bench/other/a.go", "package state\n\nimport _ \"github.com/clickagg/clickagg/internal/servers\"\n", ""},
	{"a benchmark in the product", "mapper/a.go", "package mapper\n\nimport _ \"github.com/clickagg/clickagg/internal/bench\"\n", "3: internal/bench measures the product"},
	{"gocql away from home", "storage/embedded/a.go", "package embedded\n\nimport _ \"github.com/gocql/gocql\"\n", "3: github.com/gocql/gocql may be imported in storage/cassandra only"},
	{"a library with a name that begins alike", "mapper/a.go", "package mapper\n\nimport _ \"github.com/spf13/viperine\"\n", ""},

	{"pure room imports a shell", "mapper/rule/a.go", "package rule\n\nimport _ \"github.com/clickagg/clickagg/internal/stream\"\n", "3: pure room mapper/rule imports"},
	{"pure room imports a pure room", "reducer/merge/a.go", "package merge\n\nimport _ \"github.com/clickagg/clickagg/internal/click\"\n", ""},
	{"pure room imports a library", "aggregator/window/a.go", "package window\n\nimport _ \"go.uber.org/zap\"\n", "3: pure room aggregator/window imports go.uber.org/zap"},
	{"pure room imports the hash", "internal/click/a.go", "package click\n\nimport _ \"github.com/zeebo/xxh3\"\n", ""},
	{"pure room imports os", "internal/click/a.go", "package click\n\nimport _ \"os\"\n", "3: pure room internal/click imports os"},
	{"pure room imports io", "internal/click/a.go", "package click\n\nimport _ \"io\"\n", ""},
	{"pure room imports io/fs", "internal/click/a.go", "package click\n\nimport _ \"io/fs\"\n", "3: pure room internal/click imports io/fs"},
	{"pure room imports sync/atomic", "internal/click/a.go", "package click\n\nimport _ \"sync/atomic\"\n", "3: pure room internal/click imports sync/atomic"},
	{"pure room imports net", "mapper/rule/a.go", "package rule\n\nimport _ \"net\"\n", "3: pure room mapper/rule imports net"},
	{"pure room imports net/netip", "mapper/rule/a.go", "package rule\n\nimport _ \"net/netip\"\n", ""},
	{"pure room imports math/rand", "mapper/rule/a.go", "package rule\n\nimport _ \"math/rand/v2\"\n", "3: pure room mapper/rule imports math/rand/v2"},
	{"pure room imports maphash", "mapper/rule/a.go", "package rule\n\nimport _ \"hash/maphash\"\n", "3: pure room mapper/rule imports hash/maphash"},
	{"pure room's test imports os", "mapper/rule/a_test.go", "package rule\n\nimport _ \"os\"\n", ""},
	{"room below a pure room", "aggregator/window/deeper/a.go", "package deeper\n\nimport _ \"os\"\n", ""},

	{"goroutine", "mapper/rule/a.go", "package rule\n\nfunc f() {\n\tgo f()\n}\n", "4: pure room mapper/rule starts a goroutine"},
	{"select", "mapper/rule/a.go", "package rule\n\nfunc f() {\n\tselect {}\n}\n", "4: pure room mapper/rule has a select"},
	{"channel type", "mapper/rule/a.go", "package rule\n\ntype t chan int\n", "3: pure room mapper/rule uses a channel"},
	{"send", "mapper/rule/a.go", "package rule\n\nfunc f() {\n\tc <- 1\n}\n", "4: pure room mapper/rule uses a channel"},
	{"receive", "mapper/rule/a.go", "package rule\n\nfunc f() {\n\t<-c\n}\n", "4: pure room mapper/rule uses a channel"},
	{"clock", "reducer/merge/a.go", "package merge\n\nimport \"time\"\n\nvar x = time.Now()\n", "5: pure room reducer/merge uses time.Now"},
	{"clock by another name", "reducer/merge/a.go", "package merge\n\nimport t \"time\"\n\nvar x = t.Since\n", "5: pure room reducer/merge uses time.Since"},
	{"clock without a name", "reducer/merge/a.go", "package merge\n\nimport . \"time\"\n\nvar x = Now()\n", "3: pure room reducer/merge imports without a name"},
	{"time's arithmetic", "reducer/merge/a.go", "package merge\n\nimport \"time\"\n\nvar x = time.Minute\n", ""},
	{"another Now", "reducer/merge/a.go", "package merge\n\nimport _ \"time\"\n\nvar x = shard.Now\n", ""},
	{"goroutine in a shell", "mapper/a.go", "package mapper\n\nfunc f() {\n\tgo f()\n}\n", ""},

	{"long file", "mapper/a.go", "package mapper\n" + strings.Repeat("\n", longestFile), "1: the file has 601 lines; at most 600"},
	{"long test", "mapper/a_test.go", "package mapper\n" + strings.Repeat("\n", longestTestFile), "1: the file has 801 lines; at most 800"},
	{"file of full length", "mapper/a_test.go", "package mapper\n" + strings.Repeat("\n", longestTestFile-1), ""},
	{"generated file", "mapper/a.go", "// Code generated by x. DO NOT EDIT.\n\npackage mapper\n" + strings.Repeat("\n", longestFile), ""},
	{"long function", "mapper/a.go", "package mapper\n\nfunc f() {\n" + strings.Repeat("\n", longestFunc-1) + "}\n", "3: function f has 81 lines; at most 80"},
	{"function of full length", "mapper/a.go", "package mapper\n\nfunc f() {\n" + strings.Repeat("\n", longestFunc-2) + "}\n", ""},
	{"unfinished", "mapper/a.go", "package mapper\n\nfunc f() {\n\t// " + "TODO: later\n}\n", "4: " + "TODO in a comment"},
	{"unfinished in a block", "mapper/a.go", "package mapper\n\n/* a " + "FIXME */\n", "3: " + "FIXME in a comment"},
	{"function without a comment", "mapper/a.go", "package mapper\n\nfunc F() {}\n", "3: exported F has no comment"},
	{"method without a comment", "mapper/a.go", "package mapper\n\nfunc (*T[K]) F() {}\n", "3: exported F has no comment"},
	{"method of an own type", "mapper/a.go", "package mapper\n\nfunc (t) F() {}\n", ""},
	{"method that speaks for itself", "mapper/a.go", "package mapper\n\nfunc (T) String() string { return \"\" }\n", ""},
	{"function of that name", "mapper/a.go", "package mapper\n\nfunc String() {}\n", "3: exported String has no comment"},
	{"type without a comment", "mapper/a.go", "package mapper\n\ntype (\n\tT int\n)\n", "4: exported T has no comment"},
	{"one comment for a group", "mapper/a.go", "package mapper\n\n// These are all.\nconst (\n\tA = 1\n\tB = 2\n)\n", ""},
	{"a comment for one of two", "mapper/a.go", "package mapper\n\nconst (\n\tA = 1 // is one\n\tB = 2\n)\n", "5: exported B has no comment"},
	{"exported in a test", "mapper/a_test.go", "package mapper\n\nfunc F() {}\n", ""},

	{"a word that only looks so", "mapper/a.go", "package mapper\n\n// TODOS and xxx are words.\nconst x = \"" + "XXX\"\n", ""},
}

func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	for _, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			room := p.file[:strings.LastIndexByte(p.file, '/')]
			name := room[strings.LastIndexByte(room, '/')+1:]
			sign := "// Package " + name + " is planted.\npackage " + name + "\n"
			if strings.HasPrefix(room, "cmd/") {
				sign = "// Command " + name + " is planted.\npackage main\n"
			}
			got := checkAll([]*source{mustParse(t, p.file, p.text), mustParse(t, room+"/doc.go", sign)})
			if p.want == "" {
				if len(got) > 0 {
					t.Errorf("nothing is wrong, but: %q", got)
				}
				return
			}
			if !slices.ContainsFunc(got, func(b string) bool { return strings.HasPrefix(b, p.file+":"+p.want) }) {
				t.Errorf("got %q, want one that begins with %s:%s", got, p.file, p.want)
			}
		})
	}
}

func TestPlantedSignsAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, text string
		broken     bool
	}{
		{"mapper/doc.go", "// Package mapper maps.\npackage mapper\n", false},
		{"mapper/doc.go", "package mapper\n", true},
		{"mapper/doc.go", "// Package mapper\npackage mapper\n", true},
		{"mapper/doc.go", "// The mapper maps.\npackage mapper\n", true},
		{"mapper/shell.go", "// Package mapper maps.\npackage mapper\n", true},
		{"cmd/clickagg/doc.go", "// Command clickagg counts.\npackage main\n", false},
		{"cmd/clickagg/doc.go", "// Package main counts.\npackage main\n", true},
	} {
		got := checkAll([]*source{mustParse(t, c.file, c.text)})
		if (len(got) > 0) != c.broken {
			t.Errorf("%s %q: %q", c.file, c.text, got)
		}
	}
}

func TestPlantedNamesAtTheTopAreFound(t *testing.T) {
	t.Parallel()
	got := checkTop([]string{".ci", "cmd", "bin", "cpu.prof", "pkg", "notes.md", "go.mod"}, []string{"/bin/", "*.prof"})
	if len(got) != 2 || !strings.HasPrefix(got[0], "pkg:1: ") || !strings.HasPrefix(got[1], "notes.md:1: ") {
		t.Errorf("got %q", got)
	}
}

func mustParse(t *testing.T, file, text string) *source {
	t.Helper()
	s, err := parse(file, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
