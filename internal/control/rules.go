package control

import (
	"cmp"
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
	value, err := json.Marshal(begunSource{s.Topic})
	if err != nil {
		return fmt.Errorf("control: encode: %w", err)
	}
	return note(ctx, log, topic, begunKey(s), value)
}

// begunSource is the value of a source's beginning. Early releases left it empty.
type begunSource struct {
	Topic string `json:"topic"`
}

// begin takes that a source has an owner: also one that was retired before, and comes back.
func (f *Facts) begin(key string, r *click.Record) error {
	var b begunSource
	if err := json.Unmarshal(r.Value, &b); err != nil {
		return fmt.Errorf("begun record: %w", err)
	}
	f.begun[key] = b.Topic
	text, _, _ := strings.Cut(key[len(keyBegun):], "/")
	id, ok := topicID(text)
	if !ok {
		return nil // of nothing of ours
	}
	i := f.find(id)
	if i < 0 {
		i = len(f.mapped)
		f.mapped = append(f.mapped, Mapped{ID: id})
	}
	m := &f.mapped[i]
	m.Name, m.Retired = cmp.Or(b.Topic, m.Name), click.None
	return nil
}

// retire takes that nobody maps a topic any more.
func (f *Facts) retire(id click.TopicID, at int64) {
	if i := f.find(id); i >= 0 {
		f.mapped[i].Retired = at
	}
}

// NoteRetired states that nobody maps a topic any more. It holds until one of its sources begins
// again.
func NoteRetired(ctx context.Context, log stream.Log, topic string, id click.TopicID) error {
	return note(ctx, log, topic, keyRetired+hex.EncodeToString(id[:]), []byte("{}"))
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
