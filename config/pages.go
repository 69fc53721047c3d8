package config

import (
	"bytes"
	"fmt"
	"iter"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Reference returns the page that describes every key, docs/CONFIGURATION.md.
func Reference() []byte {
	var b bytes.Buffer
	b.WriteString(referenceHead)
	writeTable(&b, "")
	for n := range Default().nodes() {
		if n.isSection() {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", n.path, n.doc)
			writeTable(&b, n.path)
		}
	}
	b.WriteString("\n## What binds keys to each other\n\n")
	for _, r := range relations() {
		if r.says != "" {
			fmt.Fprintf(&b, "- %s\n", r.says)
		}
	}
	return b.Bytes()
}

// writeTable writes the knobs that stand directly in a section, and what the entries
// of those among them have that are lists of such.
func writeTable(b *bytes.Buffer, section string) {
	writeKnobs(b, section)
	for n := range Default().nodes() {
		if n.path != join(section, n.name()) || !isRecords(n.value.Type()) {
			continue
		}
		fmt.Fprintf(b, "\nAn entry of `%s` has:\n\n| Field | Type | What it says |\n|---|---|---|\n", n.path)
		for name, f := range fields(n.value.Type().Elem()) {
			kind := "text"
			if f.Type.Kind() == reflect.Slice {
				kind = "list"
			}
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, kind, cell(f.Tag.Get("doc")))
		}
	}
}

func writeKnobs(b *bytes.Buffer, section string) {
	b.WriteString("\n| Key | Type | Default | Values | Environment variable | What it does |\n|---|---|---|---|---|---|\n")
	for k := range Keys() {
		if k.Path != join(section, k.Path[strings.LastIndexByte(k.Path, '.')+1:]) {
			continue
		}
		preset := k.Default
		if preset != "" {
			preset = "`" + preset + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | `%s` | %s |\n", k.Path, k.Type, preset, cell(k.Limits), k.Env, cell(k.Doc))
	}
}

const referenceHead = `# Configuration

<!-- Generated from config/config.go by "make docs"; edit it there. -->

A key is set in a YAML file, by an environment variable or by a flag named after it
(` + "`--window.size 1m`" + `); a flag goes before a variable, a variable before the file, the file
before the default. A fault is never passed over: an unknown key or variable, a key set twice and
a value that is not taken are all listed at once, with the place they were set at, and nothing starts.

- text: as it stands; in the file, what looks like a number or a date is put in quotes.
- secret: ` + "`file:/path`, `env:NAME` or `cred:NAME` (a systemd credential); only an environment variable may hold it itself" + `.
- entries: a list of entries with fields in the file; elsewhere the same in braces, ` + "`[{name: a, ads: [b, c]}]`" + `. What the fields are stands below the table.
- list: ` + "`[a, b]`" + ` in the file, ` + "`a,b`" + ` elsewhere; an empty text is an empty list.
- number, bytes: plain digits.
- duration: a number with a unit (` + "`500ms`, `90s`, `15m`, `24h`" + `), never a bare number.
- switch: ` + "`true` or `false`" + `.

` + "`clickagg config check` looks for faults, `clickagg config print` shows what a process would use, and" + `
` + "`deploy/clickagg.yaml`" + ` has every key with its default.

## Top level
`

// cell makes text fit for a cell of a Markdown table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// Example returns the file deploy/clickagg.yaml: every key with its sentence,
// its default commented out, so that a copy changes nothing until a line is
// uncommented.
func Example() []byte {
	var b bytes.Buffer
	b.WriteString(exampleHead)
	for n := range Default().nodes() {
		indent := strings.Repeat("  ", n.depth())
		b.WriteByte('\n')
		for line := range wrapped(n.doc, 96-len(indent)) {
			fmt.Fprintf(&b, "%s# %s\n", indent, line)
		}
		if n.isSection() {
			fmt.Fprintf(&b, "%s%s:\n", indent, n.name())
		} else {
			fmt.Fprintf(&b, "%s#%s: %s\n", indent, n.name(), yamlText(n.value.Interface()))
		}
	}
	return b.Bytes()
}

const exampleHead = `# Configuration of clickagg. Every key stands here with its default; to change one, remove the
# number sign before it. docs/CONFIGURATION.md says more. Made by "make docs" from config/config.go.
`

// Print returns the configuration as a file that [Load] reads back to the same.
func (c Config) Print() []byte {
	var b bytes.Buffer
	for n := range c.nodes() {
		if isRecords(n.value.Type()) && n.value.IsNil() {
			continue // not set, which no text says
		}
		fmt.Fprintf(&b, "%s%s:", strings.Repeat("  ", n.depth()), n.name())
		if !n.isSection() {
			b.WriteString(" " + yamlText(n.value.Interface()))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// yamlText writes a value on one line, quoted where YAML would take it for
// something else.
func yamlText(value any) string {
	n := valueNode(value)
	if n == nil {
		return show(value)
	}
	line, err := yaml.Marshal(n)
	if err != nil {
		panic("config: a value that YAML cannot say: " + err.Error())
	}
	return strings.TrimSuffix(string(line), "\n")
}

// valueNode is how YAML says a value; nil for one that is said as it is shown.
func valueNode(value any) *yaml.Node {
	switch v := value.(type) {
	case string:
		return textNode(v)
	case Secret:
		return textNode(v.from)
	case []string:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, word := range v {
			n.Content = append(n.Content, textNode(word))
		}
		return n
	}
	if v := reflect.ValueOf(value); isRecords(v.Type()) {
		return recordsNode(v)
	}
	return nil
}

func textNode(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.ToValidUTF8(text, "\ufffd")}
	if strings.Contains(text, "\n") || text == "<<" {
		n.Style = yaml.DoubleQuotedStyle // left to the encoder, they become a block and a merge key
	}
	return n
}

// wrapped breaks a sentence into lines of at most width bytes.
func wrapped(sentence string, width int) iter.Seq[string] {
	return func(yield func(string) bool) {
		line := ""
		for word := range strings.FieldsSeq(sentence) {
			if line != "" && len(line)+1+len(word) > width {
				if !yield(line) {
					return
				}
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		if line != "" {
			yield(line)
		}
	}
}
