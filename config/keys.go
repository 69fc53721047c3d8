package config

import (
	"fmt"
	"iter"
	"reflect"
	"strings"
	"time"
)

// EnvPrefix begins every environment variable that sets a key.
const EnvPrefix = "CLICKAGG_"

// EnvFile is the one variable under [EnvPrefix] that sets no key: it names the
// configuration file. The command line reads it; [Load] only lets it pass.
const EnvFile = EnvPrefix + "CONFIG"

// Key is one knob as the outside sees it.
type Key struct {
	Path    string // dotted, as in window.size; also the name of its flag
	Env     string // environment variable, as in CLICKAGG_WINDOW_SIZE
	Type    string // text, secret, list, entries, number, bytes, duration or switch
	Default string // as it would be written on the command line
	Limits  string // what values are taken
	Doc     string // what it does, then when to change it
}

// Keys lists every knob, in the order of [Config].
func Keys() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		rules := limits()
		for n := range Default().nodes() {
			if n.isSection() {
				continue
			}
			if !yield(Key{
				Path: n.path, Env: envName(n.path), Type: n.typeName(),
				Default: show(n.value.Interface()), Limits: rules[n.path].says, Doc: n.doc,
			}) {
				return
			}
		}
	}
}

// node is a section or a knob found by walking a Config.
type node struct {
	path  string
	doc   string
	unit  string
	value reflect.Value
}

// nodes walks the declarations depth first: a section comes before what is in
// it. Everything that must know all keys is fed from here.
func (c Config) nodes() iter.Seq[node] {
	return func(yield func(node) bool) { walk(reflect.ValueOf(c), "", yield) }
}

func walk(v reflect.Value, section string, yield func(node) bool) bool {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		n := node{path: join(section, tag.Get("key")), doc: tag.Get("doc"), unit: tag.Get("unit"), value: v.Field(i)}
		if !yield(n) {
			return false
		}
		if n.isSection() && !walk(n.value, n.path, yield) {
			return false
		}
	}
	return true
}

func (n node) isSection() bool {
	return n.value.Kind() == reflect.Struct && n.value.Type() != reflect.TypeFor[Secret]()
}

// name is the last word of the path, depth the number of sections around it.
func (n node) name() string { return n.path[strings.LastIndexByte(n.path, '.')+1:] }
func (n node) depth() int   { return strings.Count(n.path, ".") }

func (n node) typeName() string {
	switch n.value.Interface().(type) {
	case string:
		return "text"
	case Secret:
		return "secret"
	case []string:
		return "list"
	case time.Duration:
		return "duration"
	case bool:
		return "switch"
	case int:
		if n.unit != "" {
			return n.unit
		}
		return "number"
	}
	if isRecords(n.value.Type()) {
		return "entries"
	}
	panic(fmt.Sprintf("config: %s has a type that no text is read as: %s", n.path, n.value.Type()))
}

func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

func envName(path string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}
