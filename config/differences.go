package config

import "reflect"

// Differences lists the keys that have another value in another configuration, in
// the order of [Config].
func (c Config) Differences(other Config) []string {
	theirs := map[string]reflect.Value{}
	for n := range other.nodes() {
		theirs[n.path] = n.value
	}
	var out []string
	for n := range c.nodes() {
		if !n.isSection() && !reflect.DeepEqual(n.value.Interface(), theirs[n.path].Interface()) {
			out = append(out, n.path)
		}
	}
	return out
}
