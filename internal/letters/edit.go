package letters

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Edit sets one field of a click.
type Edit struct {
	Field string
	Value []byte // JSON
}

// ParseEdit reads field=value. A value that is JSON stands for itself, so that 5 is a
// number and "5" is text; any other is text.
func ParseEdit(s string) (Edit, error) {
	field, value, ok := strings.Cut(s, "=")
	if !ok || field == "" {
		return Edit{}, fmt.Errorf("%w: --edit %q is not field=value, as in --edit country=DE", ErrUsage, s)
	}
	text := []byte(value)
	if !json.Valid(text) {
		var err error
		if text, err = json.Marshal(value); err != nil {
			return Edit{}, fmt.Errorf("%w: --edit %q: %w", ErrUsage, s, err)
		}
	}
	return Edit{field, text}, nil
}

// errEdit: bytes that cannot be edited by field.
var errEdit = errors.New("not one JSON object, so no field of it can be set: correct it in a file")

// apply returns a JSON object with fields set: one that is there in its place and only
// once, one that is not at the end. All else keeps its bytes and its order; white
// space between members goes.
func apply(edits []Edit, value []byte) ([]byte, error) {
	if len(edits) == 0 {
		return value, nil
	}
	list, err := members(value)
	if err != nil {
		return nil, err
	}
	for _, e := range edits {
		name, err := json.Marshal(e.Field)
		if err != nil {
			return nil, err
		}
		set := member{e.Field, append(append(name, ':'), e.Value...)}
		kept, done := list[:0:0], false
		for _, m := range list {
			switch {
			case m.name != e.Field:
				kept = append(kept, m)
			case !done:
				kept, done = append(kept, set), true
			}
		}
		if !done {
			kept = append(kept, set)
		}
		list = kept
	}
	out := []byte{'{'}
	for i, m := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, m.text...)
	}
	return append(out, '}'), nil
}

// member is one member of a JSON object.
type member struct {
	name string
	text []byte // key, colon and value, as they stand
}

func members(value []byte) (list []member, err error) {
	d := json.NewDecoder(bytes.NewReader(value))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errEdit
	}
	for d.More() {
		start := d.InputOffset()
		key, err := d.Token()
		if err != nil {
			return nil, errEdit
		}
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return nil, errEdit
		}
		text := bytes.TrimLeft(value[start:d.InputOffset()], ", \t\r\n")
		list = append(list, member{key.(string), text})
	}
	if _, err := d.Token(); err != nil || len(bytes.TrimSpace(value[d.InputOffset():])) > 0 {
		return nil, errEdit
	}
	return list, nil
}
