package merge

import (
	"bytes"
	"encoding/hex"
	"os"
	"testing"
)

// Snapshots of the releases before ads could be spread, and before there were corrections, are
// read, and written anew.
func TestRestoreOlder(t *testing.T) {
	t.Parallel()
	for version, file := range map[byte]string{unsharedVersion: "testdata/snapshot-3.hex", unheldVersion: "testdata/snapshot-4.hex"} {
		restoreOlder(t, version, file)
	}
}

func restoreOlder(t *testing.T, version byte, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old, err := hex.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Restore(only, old)
	if err != nil || old[0] != version {
		t.Fatalf("version %d: %v", old[0], err)
	}
	if st := r.Status(); st.Windows < 2 || len(st.Sources) != 2 || len(st.Shards) < 2 {
		t.Errorf("%+v", st)
	}
	b := r.AppendSnapshot(nil)
	if again, err := Restore(only, b); err != nil || b[0] != snapshotVersion || !bytes.Equal(again.AppendSnapshot(nil), b) {
		t.Errorf("written as version %d and restored: %v", b[0], err)
	}
}
