package e2e

import (
	"fmt"
	"testing"
)

// TestWait: --wait returns when what was sent is in the store, also when it only
// corrects windows that were final before.
func TestWait(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	clicks, counts := minutes(0, 5, 9)
	s.load(write(t, "clicks.jsonl", clicks), "--finish", "--wait")
	for i := range 5 {
		late := fmt.Sprintf(`{"event_id":"late-%d","ad_id":"late-%d","ts":"2024-05-01T10:04:59Z"}`+"\n", i, i)
		s.load(write(t, "late.jsonl", late), "--finish", "--wait")
		counts += fmt.Sprintf("late-%d,2024-05-01T10:04:00Z,1\n", i)
		same(t, "export", s.export(), exportHeader+counts)
	}
}
