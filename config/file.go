package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 1 << 20

func (l *loader) readFile(path string) {
	if body, ok := l.readWhole(path); ok {
		l.readYAML(path, body)
	}
}

// readWhole reads a text that is small enough to be a configuration.
func (l *loader) readWhole(path string) (body []byte, ok bool) {
	body, err := readAtMost(path, maxFile)
	switch {
	case err != nil:
		l.refuseFile(path, "cannot be read: "+err.Error())
	case len(body) > maxFile:
		l.refuseFile(path, fmt.Sprintf("is over %d MiB; this is not a configuration file", maxFile>>20))
	case !utf8.Valid(body):
		l.refuseFile(path, "is not UTF-8 text")
	default:
		return body, true
	}
	return nil, false
}

// readAtMost returns up to limit + 1 bytes, so that the caller can tell a file
// that is too large. The error leaves out the path.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		var body []byte
		if body, err = io.ReadAll(io.LimitReader(f, limit+1)); err == nil {
			return body, nil
		}
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return nil, err
}

func (l *loader) refuseFile(origin, text string) {
	l.faults = append(l.faults, fault{text: text, origin: origin})
}

// readYAML takes one document. It looks at the nodes as they were written and
// never expands an alias, so a file cannot grow while it is read.
func (l *loader) readYAML(path string, body []byte) {
	d := yaml.NewDecoder(bytes.NewReader(body))
	var doc, next yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF): // nothing but comments
		return
	case err != nil:
		l.refuseSyntax(path, body, err)
		return
	}
	switch err := d.Decode(&next); {
	case err == nil:
		l.refuseFile(place(path, &next), "a second document begins here; a configuration is one document")
		return
	case !errors.Is(err, io.EOF):
		l.refuseSyntax(path, body, err)
		return
	}
	(&yamlFile{l, path}).section("", doc.Content[0])
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func (l *loader) refuseSyntax(path string, body []byte, err error) {
	text := strings.ReplaceAll(err.Error(), "\n", " ")
	if m := yamlError.FindStringSubmatch(text); m != nil {
		text = m[2]
		if m[1] != "" {
			path += ":" + m[1]
		}
	}
	if line := tabIndented(body); line > 0 {
		text += fmt.Sprintf("; line %d is indented with a tab, write spaces", line)
	}
	l.refuseFile(path, "is not YAML: "+text)
}

// tabIndented returns the first line with a tab in its indentation, or 0. YAML's
// own message about it speaks of "a character that cannot start any token".
func tabIndented(body []byte) int {
	line := 0
	for text := range bytes.Lines(body) {
		line++
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		if bytes.IndexByte(indent, '\t') >= 0 {
			return line
		}
	}
	return 0
}

func place(path string, n *yaml.Node) string {
	return fmt.Sprintf("%s:%d:%d", path, n.Line, n.Column)
}

// yamlFile reads the nodes of one file into a loader.
type yamlFile struct {
	*loader
	path string
}

func (f *yamlFile) section(section string, n *yaml.Node) {
	switch {
	case isNull(n): // a section whose keys are all commented out
		return
	case n.Kind != yaml.MappingNode:
		what := "the keys of a section are meant here, not " + kindName(n)
		if section == "" {
			f.refuseFile(place(f.path, n), what)
		} else {
			f.refuse(section, what, place(f.path, n))
		}
		return
	}
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f.entry(section, n.Content[i], n.Content[i+1], first)
	}
}

func (f *yamlFile) entry(section string, key, value *yaml.Node, first map[string]*yaml.Node) {
	at := place(f.path, key)
	if key.Kind != yaml.ScalarNode {
		f.refuseFile(at, "a key is a word, not "+kindName(key))
		return
	}
	path := join(section, key.Value)
	_, isKnob := f.knobs[path]
	_, isSection := f.sections[path]
	nested := isKnob || isSection
	switch before := first[key.Value]; {
	case nested && strings.Contains(key.Value, "."):
		f.refuse(path, "a file does not nest by dots; indent the words under each other", at)
	case !nested:
		f.refuse(path, "no such key"+f.hint(path), at)
	case before != nil:
		f.refuse(path, fmt.Sprintf("set twice, first at %d:%d", before.Line, before.Column), at)
	case isSection:
		first[key.Value] = key
		f.section(path, value)
	default:
		first[key.Value] = key
		f.knob(path, value)
	}
}

func (f *yamlFile) hint(path string) string {
	if path == "<<" || strings.HasSuffix(path, ".<<") {
		return "; merge keys are not read, write the values out"
	}
	return hint(path, func(yield func(string) bool) {
		for p := range maps.Keys(f.knobs) {
			if !yield(p) {
				return
			}
		}
		maps.Keys(f.sections)(yield)
	})
}

func (f *yamlFile) knob(path string, n *yaml.Node) {
	at := place(f.path, n)
	switch t := f.knobs[path].value.Type(); {
	case isRecords(t):
		records := readRecords(t, n, func(at *yaml.Node, text string) { f.refuse(path, text, place(f.path, at)) })
		set := setting{value: records, origin: at}
		for _, entry := range n.Content {
			set.entries = append(set.entries, place(f.path, entry))
		}
		f.set[path] = set
		return
	case t == reflect.TypeFor[[]string]():
		f.list(path, n)
		return
	}
	if fault := f.scalarFault(path, n); fault != "" {
		f.refuse(path, fault, at)
		return
	}
	f.setText(path, n.Value, at)
}

func (f *yamlFile) list(path string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		fault := "a list is meant here, not " + kindName(n)
		if n.Kind == yaml.ScalarNode && !isNull(n) {
			fault += "; write [" + plain(n.Value) + "]"
		}
		f.refuse(path, fault, place(f.path, n))
		return
	}
	words := []string{}
	for _, item := range n.Content {
		if fault := textFault(item); fault != "" {
			f.refuse(path, fault, place(f.path, item))
			continue
		}
		words = append(words, item.Value)
	}
	f.set[path] = setting{value: words, origin: place(f.path, n)}
}

func (f *yamlFile) scalarFault(path string, n *yaml.Node) string {
	switch f.knobs[path].value.Interface().(type) {
	case string, Secret:
		return textFault(n)
	}
	switch {
	case n.Kind != yaml.ScalarNode || !knownTag(n):
		return fmt.Sprintf("a %s is meant here, not %s", f.knobs[path].typeName(), kindName(n))
	case isNull(n):
		return "has no value; write one or leave the key out"
	}
	return ""
}

func textFault(n *yaml.Node) string {
	switch {
	case n.Kind != yaml.ScalarNode || !knownTag(n):
		return "text is meant here, not " + kindName(n)
	case isNull(n):
		return `has no value; write "" for an empty text or leave the key out`
	case n.ShortTag() != "!!str":
		return fmt.Sprintf("text is meant here, not %s; write %s in quotes", kindName(n), quote(n.Value))
	}
	return ""
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// knownTag refuses tags that would give the text of a scalar another meaning.
func knownTag(n *yaml.Node) bool { return scalarNames[n.ShortTag()] != "" }

var scalarNames = map[string]string{
	"!!str": "text", "!!int": "a number", "!!float": "a number", "!!bool": "true or false",
	"!!timestamp": "a date", "!!null": "nothing",
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias (aliases are not read, write the value out)"
	case yaml.ScalarNode:
		if name, ok := scalarNames[n.ShortTag()]; ok {
			return name
		}
		return "a value tagged " + plain(n.Tag)
	default:
		return "nothing"
	}
}
