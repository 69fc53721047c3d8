package config

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// Sources is where settings come from, in rising order of precedence. What none
// of them sets keeps its default.
type Sources struct {
	// File is the path of a YAML file; empty means none.
	File string
	// Env is the environment, as os.Environ returns it. A variable that is set
	// to nothing sets its key to nothing.
	Env []string
	// Flags are the flags that were given: dotted path to text.
	Flags map[string]string
}

// Load reads the configuration and holds it to [Config.Validate]. The error
// joins all faults, one line each: the dotted path, what is wrong, and the place
// it was set at.
func Load(s Sources) (Config, error) {
	l := newLoader()
	if s.File != "" {
		l.readFile(s.File)
	}
	l.readEnv(s.Env)
	l.readFlags(s.Flags)
	c := l.config()
	for _, f := range c.faults() {
		if slices.ContainsFunc(f.keys, func(k string) bool { return l.refused[k] }) {
			continue
		}
		f.origin = l.origins(f.keys, f.entry)
		l.faults = append(l.faults, f)
	}
	if err := joined(l.faults); err != nil {
		return Config{}, err
	}
	return c, nil
}

// fault is one thing that is wrong.
type fault struct {
	keys   []string // what it is about, the key to change first; none for the file as a whole
	entry  int      // of the first key's list of entries, from 1; 0 when it is about no single one
	text   string
	origin string // where it was set; empty for a default
}

func (f fault) Error() string {
	if len(f.keys) == 0 {
		return f.origin + ": " + f.text
	}
	line := plain(f.keys[0]) + ": " + f.text
	if f.origin != "" {
		line += " (" + f.origin + ")"
	}
	return line
}

func joined(faults []fault) error {
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// loader gathers what the sources set. A later source replaces an earlier one's
// value, but never its faults.
type loader struct {
	knobs    map[string]node
	sections map[string]node
	set      map[string]setting
	faults   []fault
	// refused are the paths a source's value was refused for: what stands in its
	// place says nothing about what the user meant.
	refused map[string]bool
}

type setting struct {
	value  any
	origin string
	// entries are the places of the entries of a list that has some, when it stands in a file.
	entries []string
}

func newLoader() *loader {
	l := &loader{knobs: map[string]node{}, sections: map[string]node{}, set: map[string]setting{}, refused: map[string]bool{}}
	for n := range Default().nodes() {
		if n.isSection() {
			l.sections[n.path] = n
		} else {
			l.knobs[n.path] = n
		}
	}
	return l
}

// fromEnv begins the origin of what the environment set.
const fromEnv = "environment variable "

func (l *loader) readEnv(env []string) {
	paths := map[string]string{}
	for path := range l.knobs {
		paths[envName(path)] = path
	}
	for _, entry := range slices.Sorted(slices.Values(env)) {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, EnvPrefix) || name == EnvFile {
			continue
		}
		path, known := paths[name]
		if !known {
			l.refuse(name, "no such key"+hint(name, maps.Keys(paths)), "environment variable")
			continue
		}
		l.setText(path, text, fromEnv+name)
	}
}

func (l *loader) readFlags(flags map[string]string) {
	for _, path := range slices.Sorted(maps.Keys(flags)) {
		if _, known := l.knobs[path]; !known {
			l.refuse(path, "no such key"+hint(path, maps.Keys(l.knobs)), "flag")
			continue
		}
		l.setText(path, flags[path], "flag --"+path)
	}
}

func (l *loader) setText(path, text, origin string) {
	direct := strings.HasPrefix(origin, fromEnv)
	value, fault := parse(l.knobs[path].value.Type(), text, direct)
	if fault != "" {
		l.refuse(path, fault, origin)
		return
	}
	l.set[path] = setting{value: value, origin: origin}
}

func (l *loader) refuse(path, text, origin string) {
	l.faults = append(l.faults, fault{keys: []string{path}, text: text, origin: origin})
	l.refused[path] = true
}

// origins says where keys were set; an entry of the first stands for that key.
func (l *loader) origins(keys []string, entry int) string {
	if first := l.set[keys[0]]; entry > 0 && entry <= len(first.entries) {
		return first.entries[entry-1]
	}
	var places []string
	for _, k := range keys {
		if s, ok := l.set[k]; ok && !slices.Contains(places, s.origin) {
			places = append(places, s.origin)
		}
	}
	return strings.Join(places, ", ")
}

// config lets viper lay what was set over the defaults. viper gets values, not
// sources: left to read those itself it would take `window.size: 60` for 60 ns,
// fold the case of keys, pass over variables it does not know or that are empty,
// and forget the line a key stood on.
func (l *loader) config() Config {
	v := viper.New()
	for path, n := range l.knobs {
		v.SetDefault(path, n.value.Interface())
	}
	for path, s := range l.set {
		v.Set(path, s.value)
	}
	var c Config
	err := v.UnmarshalExact(&c, func(d *mapstructure.DecoderConfig) {
		d.TagName = "key"
		d.WeaklyTypedInput = false
		d.DecodeHook = nil
	})
	if err != nil {
		panic("config: values of the declared types do not fit the declaration: " + err.Error())
	}
	return c
}
