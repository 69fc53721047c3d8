package embedded

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"
)

// SetFormat writes another format into a closed store.
func SetFormat(t *testing.T, dir, format string) {
	t.Helper()
	db, err := pebble.Open(dir, engine(Options{}.withDefaults(), nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte{kindFormat}, []byte(format), pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// Format is the format of a closed store.
func Format(t *testing.T, dir string) string {
	t.Helper()
	db, err := pebble.Open(dir, engine(Options{}.withDefaults(), nil))
	if err != nil {
		t.Fatal(err)
	}
	value, closer, err := db.Get([]byte{kindFormat})
	if err != nil {
		t.Fatal(err)
	}
	format := string(value)
	if err := errors.Join(closer.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	return format
}

// Quiet is a logger for an engine without a store.
func Quiet() pebble.Logger { return log{zap.NewNop().Sugar()} }
