package window

import (
	"bytes"
	"encoding/hex"
	"math/rand"
	"os"
	"testing"
)

// A snapshot of the release before ads could be spread is read, and the shard goes on.
func TestRestoreOlder(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/snapshot-2.hex")
	if err != nil {
		t.Fatal(err)
	}
	old, err := hex.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewSource(3))
	set := randomSetting(rng)
	log := story(rng, set, 20)
	s, err := Restore(set.Config, old)
	if err != nil {
		t.Fatal(err)
	}
	now := New(set.Config)
	for _, record := range log {
		mustFold(t, now, record)
		now.Out()
	}
	if a, b := s.Status(), now.Status(); old[0] != unsharedVersion || a.Position != b.Position || a.IDs != b.IDs || a.Ads != b.Ads || a.Unsaid != b.Unsaid || a.Windows != b.Windows {
		t.Errorf("version %d, restored %+v, the log says %+v", old[0], a, b)
	}
	if b := s.AppendSnapshot(nil); b[0] != snapshotVersion {
		t.Errorf("written as version %d", b[0])
	} else if again, err := Restore(set.Config, b); err != nil || !bytes.Equal(again.AppendSnapshot(nil), b) {
		t.Errorf("written and restored: %v", err)
	}
}
