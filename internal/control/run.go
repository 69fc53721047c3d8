package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clickagg/clickagg/internal/stream"
)

// ErrRules: the rules that judge clicks were changed where that is not safe.
var ErrRules = errors.New("rules changed after a crash")

// Run is by which rules a process judges clicks, and whether it ended in order,
// so that nothing it began to say is judged again.
type Run struct {
	Rules map[string]string `json:"rules"` // key of the configuration to its value
	Ended bool              `json:"ended"`
}

// Begin notes that a process starts to judge by these rules. It returns ErrRules
// when they are others than those of the last run and that one did not end in
// order: what it had sent and not committed would be judged again, by other
// rules, and a click could be lost or counted twice.
func Begin(ctx context.Context, log stream.Log, topic string, last *Run, rules map[string]string) error {
	if last != nil && !last.Ended {
		if changed := differences(last.Rules, rules); len(changed) > 0 {
			return fmt.Errorf("control: %w: %s; start once with the old values, stop that process in order (SIGTERM) and then change them",
				ErrRules, strings.Join(changed, ", "))
		}
	}
	return note(ctx, log, topic, Run{Rules: rules})
}

// End notes that a process that judged by these rules has ended in order.
func End(ctx context.Context, log stream.Log, topic string, rules map[string]string) error {
	return note(ctx, log, topic, Run{Rules: rules, Ended: true})
}

func note(ctx context.Context, log stream.Log, topic string, r Run) error {
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("control: encode: %w", err)
	}
	if err := log.Append(ctx, topic, []stream.Message{{Key: []byte(keyRun), Value: value}}); err != nil {
		return fmt.Errorf("control: note the run: %w", err)
	}
	return nil
}

// differences lists the keys whose values differ, in order.
func differences(old, now map[string]string) (out []string) {
	keys := maps.Clone(old)
	maps.Copy(keys, now)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if old[k] != now[k] {
			out = append(out, fmt.Sprintf("%s was %q and is %q", k, old[k], now[k]))
		}
	}
	return out
}
