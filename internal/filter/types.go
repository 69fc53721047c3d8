package filter

import (
	"fmt"
	"maps"
	"slices"

	"github.com/clickagg/clickagg/internal/nearest"
)

// Type is the type of a click's field. The zero Type is none.
type Type uint8

// The types. A value of another type counts as lacking.
const (
	String Type = iota + 1 // a JSON string
	Int                    // a JSON number without fraction or exponent that 64 bits hold
	Float                  // a JSON number
	Bool                   // true or false
)

var typeNames = [...]string{String: "string", Int: "int", Float: "float", Bool: "bool"}

// ParseType reads a type's name: string, int, float or bool.
func ParseType(name string) (Type, error) {
	if i := slices.Index(typeNames[1:], name); i >= 0 {
		return Type(i + 1), nil
	}
	return 0, fmt.Errorf("type %q is not one of string, int, float, bool", name)
}

// String is the type's name.
func (t Type) String() string {
	if t < String || t > Bool {
		return fmt.Sprintf("type(%d)", uint8(t))
	}
	return typeNames[t]
}

func (t Type) isNumber() bool { return t == Int || t == Float }

// Types are the types of the fields a predicate may read beside those that every
// click has. The fields country, device, user_agent and ip are strings unless
// Types says otherwise.
type Types map[string]Type

// The names of what every click has, however its fields are named in the JSON.
const (
	AdID    = "ad_id"    // a string
	EventID = "event_id" // a string; lacking when it was made of other fields
	Time    = "ts"       // an int: the event time in Unix ms
)

// own are the fields whose types are not for Types to say.
var own = Types{AdID: String, EventID: String, Time: Int}

// usual are the fields that are strings unless declared otherwise.
var usual = Types{"country": String, "device": String, "user_agent": String, "ip": String}

// Check tells what is wrong with the declarations, or nil.
func (t Types) Check() error {
	for _, name := range slices.Sorted(maps.Keys(t)) {
		switch {
		case own[name] != 0:
			return fmt.Errorf("field %s is %s always", name, own[name])
		case name == "" || len(name) > maxFieldName:
			return fmt.Errorf("field %.40q: a name has 1 to %d bytes", name, maxFieldName)
		case t[name] < String || t[name] > Bool:
			return fmt.Errorf("field %s has no type", name)
		}
	}
	return nil
}

// of returns the type of a field, or 0 when there is no such field.
func (t Types) of(name string) Type {
	for _, known := range []Types{own, t, usual} {
		if known[name] != 0 {
			return known[name]
		}
	}
	return 0
}

// hint suggests the known field whose name is nearest to an unknown one.
func (t Types) hint(name string) string {
	best, least := "", 3
	for _, known := range []Types{own, usual, t} {
		for _, other := range slices.Sorted(maps.Keys(known)) {
			if d := nearest.Distance(name, other); d < least {
				best, least = other, d
			}
		}
	}
	if best == "" {
		return "; declare it in input.types"
	}
	return "; is " + best + " meant? Other fields are declared in input.types"
}
