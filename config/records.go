package config

import (
	"iter"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A knob of records is a list of entries that have fields: a slice of structs whose
// fields are texts and lists of texts, each with a `key` and a `doc`.
func isRecords(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// fields are the fields of a record, by key.
func fields(record reflect.Type) iter.Seq2[string, reflect.StructField] {
	return func(yield func(string, reflect.StructField) bool) {
		for i := range record.NumField() {
			if f := record.Field(i); !yield(f.Tag.Get("key"), f) {
				return
			}
		}
	}
}

// readRecords reads a list of records; refuse is told of each fault. It never expands
// an alias.
func readRecords(t reflect.Type, n *yaml.Node, refuse func(at *yaml.Node, text string)) any {
	all := reflect.MakeSlice(t, 0, len(n.Content))
	if n.Kind != yaml.SequenceNode {
		refuse(n, "a list of entries is meant here, not "+kindName(n))
		return all.Interface()
	}
	for _, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			refuse(item, "an entry with "+keysOf(t.Elem())+" is meant here, not "+kindName(item))
			continue
		}
		all = reflect.Append(all, readRecord(t.Elem(), item, refuse))
	}
	return all.Interface()
}

func readRecord(t reflect.Type, n *yaml.Node, refuse func(at *yaml.Node, text string)) reflect.Value {
	record := reflect.New(t).Elem()
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		var field reflect.Value
		for name, f := range fields(t) {
			if name == key.Value && key.Kind == yaml.ScalarNode {
				field = record.FieldByIndex(f.Index)
			}
		}
		switch {
		case !field.IsValid():
			refuse(key, "an entry has no "+plain(key.Value)+"; it has "+keysOf(t))
			continue
		case seen[key.Value]:
			refuse(key, key.Value+" is set twice")
		}
		seen[key.Value] = true
		readField(field, value, refuse)
	}
	return record
}

func readField(field reflect.Value, n *yaml.Node, refuse func(at *yaml.Node, text string)) {
	read := func(n *yaml.Node) string {
		if fault := textFault(n); fault != "" {
			refuse(n, fault)
		}
		return n.Value
	}
	switch {
	case field.Kind() == reflect.String:
		field.SetString(read(n))
	case n.Kind != yaml.SequenceNode:
		refuse(n, "a list is meant here, not "+kindName(n))
	default:
		for _, item := range n.Content {
			field.Set(reflect.Append(field, reflect.ValueOf(read(item))))
		}
	}
}

func keysOf(record reflect.Type) string {
	var names []string
	for name := range fields(record) {
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// parseRecords reads records from text: the list as the file has it, in braces and brackets.
func parseRecords(t reflect.Type, text string) (value any, fault string) {
	if strings.TrimSpace(text) == "" {
		return reflect.MakeSlice(t, 0, 0).Interface(), ""
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) != 1 {
		return nil, quote(text) + " is not a list of entries; write it like [{" + keysOf(t.Elem()) + "}], with a value after each, as in YAML or JSON"
	}
	value = readRecords(t, doc.Content[0], func(_ *yaml.Node, text string) {
		if fault == "" {
			fault = text
		}
	})
	return value, fault
}

// recordsNode writes records on one line, without fields that are empty.
func recordsNode(records reflect.Value) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for i := range records.Len() {
		entry := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for name, f := range fields(records.Type().Elem()) {
			if v := records.Index(i).FieldByIndex(f.Index); v.Len() > 0 {
				entry.Content = append(entry.Content, textNode(name), valueNode(v.Interface()))
			}
		}
		list.Content = append(list.Content, entry)
	}
	return list
}

// ReadTokens reads a file of tokens: a list as under api.tokens.
func ReadTokens(path string) ([]Token, error) {
	l := newLoader()
	tokens := []Token{}
	if body, ok := l.readWhole(path); ok {
		var doc yaml.Node
		if err := yaml.Unmarshal(body, &doc); err != nil {
			l.refuseSyntax(path, body, err)
		} else if len(doc.Content) == 1 {
			tokens = readRecords(reflect.TypeFor[[]Token](), doc.Content[0], func(at *yaml.Node, text string) {
				l.refuseFile(place(path, at), text)
			}).([]Token)
		}
	}
	return tokens, joined(l.faults)
}

// TokenEntry writes an entry as a file of tokens has it.
func TokenEntry(t Token) []byte {
	n := recordsNode(reflect.ValueOf([]Token{t}))
	n.Style, n.Content[0].Style = 0, 0
	text, err := yaml.Marshal(n)
	if err != nil {
		panic("config: a token that YAML cannot say: " + err.Error())
	}
	return text
}
