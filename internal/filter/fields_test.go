package filter

// fill sets the fields of a set from values by name, as a decoder would.
func fill(s *Set, f *Fields, values map[string]any) {
	f.Clear()
	for i, n := range s.Needs() {
		switch v := values[n.Name].(type) {
		case string:
			f.Text(i, []byte(v))
		case int:
			f.Int(i, int64(v))
		case float64:
			f.Float(i, v)
		case bool:
			f.Bool(i, v)
		}
	}
}

// some are the further fields of the tests.
var some = Types{"clicks": Int, "price": Float, "mobile": Bool, "new": Bool, "note": String, "user-agent": String}

// matches tells whether one predicate is true of a click.
func matches(where string, values map[string]any) (bool, error) {
	s, err := NewSet([]Definition{{ID: "1", Where: where}}, some)
	if err != nil {
		return false, err
	}
	f := s.NewFields()
	fill(s, f, values)
	return s.Match(f) == 1, nil
}
