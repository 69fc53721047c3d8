package config

import (
	"fmt"

	"github.com/clickagg/clickagg/internal/filter"
)

// FieldTypes are the types of input.types, which must be valid, by name.
func (c Config) FieldTypes() filter.Types {
	types := filter.Types{}
	for _, word := range c.Input.Types {
		name, t := cutType(word)
		types[name], _ = filter.ParseType(t)
	}
	return types
}

// Definitions are the filters as they are compiled.
func (c Config) Definitions() []filter.Definition {
	var all []filter.Definition
	for _, f := range c.Filters {
		all = append(all, filter.Definition(f))
	}
	return all
}

// filterFaults holds the filters to their language. Each entry has its own fault.
func (c Config) filterFaults() []fault {
	types := c.FieldTypes()
	if len(types) < len(c.Input.Types) {
		return []fault{{keys: []string{"input.types"}, text: "a field is listed twice"}}
	}
	if err := types.Check(); err != nil {
		return []fault{{keys: []string{"input.types"}, text: err.Error()}}
	}
	var faults []fault
	defs := c.Definitions()
	seen := map[string]int{}
	for i, d := range defs {
		say := func(text string) {
			faults = append(faults, fault{keys: []string{"filters", "input.types"}, entry: i + 1, text: text})
		}
		if _, err := filter.NewSet(defs[i:i+1], types); err != nil {
			say(err.Error())
		} else if first := seen[d.ID]; first > 0 {
			say(fmt.Sprintf("filter %s is defined twice, first by entry %d", d.ID, first))
		}
		seen[d.ID] = i + 1
	}
	if len(defs) > filter.Most {
		faults = append(faults, fault{keys: []string{"filters"}, text: fmt.Sprintf("has %d entries; at most %d filters are taken", len(defs), filter.Most)})
	}
	return faults
}
