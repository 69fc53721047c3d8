package merge

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"testing"
)

// Snapshots of the releases before ads could be spread, before there were corrections, and before
// there were digests, are read, and written anew. What was counted without a digest has none.
func TestRestoreOlder(t *testing.T) {
	t.Parallel()
	for version := byte(unsharedVersion); version <= undigestedVersion; version++ {
		restoreOlder(t, version, fmt.Sprintf("testdata/snapshot-%d.hex", version))
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
	if st := r.Status(); st.Windows < 2 || len(st.Sources) < 2 && version < undigestedVersion || len(st.Shards) < 2 {
		t.Errorf("%+v", st)
	}
	shares := 0
	for _, w := range r.windows {
		for _, s := range w.spread {
			if shares++; s.sum().Known() {
				t.Errorf("version %d: of %s a digest is known", version, s.ad)
			}
		}
	}
	if shares == 0 && version == undigestedVersion {
		t.Errorf("version %d: no ad is spread", version)
	}
	b := r.AppendSnapshot(nil)
	if again, err := Restore(only, b); err != nil || b[0] != snapshotVersion || !bytes.Equal(again.AppendSnapshot(nil), b) {
		t.Errorf("written as version %d and restored: %v", b[0], err)
	}
}
