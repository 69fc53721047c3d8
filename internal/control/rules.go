package control

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// ErrRules: the rules that judge clicks were changed where that is not safe.
var ErrRules = errors.New("rules changed where a source was not handed over in order")

// Fingerprint names rules that judge clicks, keys of the configuration and their
// values, in 16 hex digits. It is the same in every process.
func Fingerprint(rules map[string]string) string {
	var b []byte
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		b = click.AppendBytes(click.AppendBytes(b, key), rules[key])
	}
	return fmt.Sprintf("%016x", xxh3.Hash(b))
}

// Differences lists, in order, the keys whose values are others now than in the
// rules with a fingerprint.
func (f *Facts) Differences(fingerprint string, now map[string]string) []string {
	old, ok := f.Rules[fingerprint]
	if !ok {
		return []string{"the old values are not known"}
	}
	keys := maps.Clone(old)
	maps.Copy(keys, now)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if old[k] != now[k] {
			out = append(out, fmt.Sprintf("%s was %q and is %q", k, old[k], now[k]))
		}
	}
	return out
}

// NoteRules states what the rules with their fingerprint are, so that whoever meets
// the fingerprint later can name the keys.
func NoteRules(ctx context.Context, log stream.Log, topic string, rules map[string]string) error {
	value, err := json.Marshal(rules)
	if err != nil {
		return fmt.Errorf("control: encode: %w", err)
	}
	return note(ctx, log, topic, keyRules+Fingerprint(rules), value)
}

// NoteBegun states that a source has an owner. From then on the source has a
// position, and one that has none has lost it.
func NoteBegun(ctx context.Context, log stream.Log, topic string, s click.Source) error {
	return note(ctx, log, topic, begunKey(s), []byte("{}"))
}

func note(ctx context.Context, log stream.Log, topic, key string, value []byte) error {
	if err := log.Append(ctx, topic, []stream.Message{{Key: []byte(key), Value: value}}); err != nil {
		kind, _, _ := strings.Cut(key, "/")
		return fmt.Errorf("control: note %s: %w", kind, err)
	}
	return nil
}

func begunKey(s click.Source) string {
	return fmt.Sprintf("%s%s/%d", keyBegun, hex.EncodeToString(s.ID[:]), s.Partition)
}
