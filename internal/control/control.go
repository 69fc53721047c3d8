package control

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/stream"
)

// ErrMismatch: the configuration asks for what this installation is not.
var ErrMismatch = errors.New("configuration does not fit this installation")

// Cluster is what never changes in an installation.
type Cluster struct {
	ID       string `json:"id"`        // random, names the installation
	Secret   uint64 `json:"secret"`    // key of the routing hash
	Shards   int32  `json:"shards"`    // partitions of the shuffle topic
	Reducers int32  `json:"reducers"`  // partitions of the partials topic
	WindowMS int64  `json:"window_ms"` // window size
}

// Facts is everything the control topic says, up to where it was read.
type Facts struct {
	next    int64                        // offset to read on from
	Cluster *Cluster                     // nil before the first start
	Live    map[click.TopicID]int64      // broker time, Unix ms, since which a topic is live
	Rules   map[string]map[string]string // by fingerprint: key of the configuration to its value
	begun   map[string]string            // by key: the topic's name, or empty where it was not said
	mapped  []Mapped                     // in the order they began
	opened  int64                        // event time before which minutes are open; click.None at first
	hot     map[string]*ad
	filters []FilterSpan // in the order they were said
	correct []Correction // in the order they began
}

// HasBegun tells whether a source ever had an owner.
func (f *Facts) HasBegun(s click.Source) bool {
	_, ok := f.begun[begunKey(s)]
	return ok
}

// IsMapped tells whether a source has begun under its name, and its topic was not retired since.
func (f *Facts) IsMapped(s click.Source) bool {
	name, ok := f.begun[begunKey(s)]
	i := f.find(s.ID)
	return ok && name == s.Topic && i >= 0 && f.mapped[i].Retired == click.None
}

// Mapped is a topic of which a source ever had an owner.
type Mapped struct {
	ID      click.TopicID
	Name    string // empty: a release said so that did not say the name
	Retired int64  // broker time, Unix ms, before which all was appended that was mapped of it; click.None while more may be
}

// Mapped lists the topics of which a source ever had an owner, in the order in which they began.
func (f *Facts) Mapped() []Mapped { return f.mapped }

// find is the place of a topic among those that have begun, or -1.
func (f *Facts) find(id click.TopicID) int {
	return slices.IndexFunc(f.mapped, func(m Mapped) bool { return m.ID == id })
}

// topicID reads a topic's id from a key.
func topicID(text string) (id click.TopicID, ok bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return id, false
	}
	return click.TopicID(raw), true
}

// LiveSince is since when a topic is live, or click.None.
func (f *Facts) LiveSince(id click.TopicID) int64 {
	if at, ok := f.Live[id]; ok {
		return at
	}
	return click.None
}

const (
	keyCluster = "cluster"
	keyLive    = "live/"    // and the topic's id in hex
	keyRules   = "rules/"   // and their fingerprint
	keyBegun   = "begun/"   // and the topic's id in hex, and the partition
	keyRetired = "retired/" // and the topic's id in hex
	keyOpen    = "open"
	keyHot     = "hot/" // and the ad
	keyFilters = "filters"
	keyCorrect = "correct/" // and what of a correction is said: begin, hold or end
)

// Load reads the control topic from its start to its present end.
func Load(ctx context.Context, log stream.Log, topic string) (Facts, error) {
	return Refresh(ctx, log, topic, Facts{
		Live: map[click.TopicID]int64{}, Rules: map[string]map[string]string{}, begun: map[string]string{},
		opened: click.None, hot: map[string]*ad{},
	})
}

// Refresh reads on where the facts end, to the topic's present end. It leaves
// the old facts as they are.
func Refresh(ctx context.Context, log stream.Log, topic string, old Facts) (Facts, error) {
	start, end, err := log.Bounds(ctx, topic, 0)
	switch {
	case err != nil:
		return old, fmt.Errorf("control: bounds: %w", err)
	case start > 0:
		return old, fmt.Errorf("control: topic %s begins at offset %d: its records must be kept for ever; set retention.ms=-1 and restore them", topic, start)
	case end < old.next:
		return old, fmt.Errorf("control: %w: topic %s ends at offset %d, but was read up to %d: restore it", ErrLost, topic, end, old.next)
	case end == old.next:
		return old, nil
	}
	r, err := log.Open(ctx, topic, 0, stream.At(old.next))
	if err != nil {
		return old, fmt.Errorf("control: open: %w", err)
	}
	defer func() { _ = r.Close() }()
	facts := old.clone()
	for facts.next < end {
		b, err := r.Read(ctx, time.Second)
		if err != nil {
			return old, fmt.Errorf("control: read: %w", err)
		}
		for i := range b.Records {
			if err := facts.take(&b.Records[i]); err != nil {
				return old, fmt.Errorf("control: %s offset %d: %w", topic, b.Records[i].Offset, err)
			}
		}
		facts.next = b.Next
	}
	return facts, nil
}

// Await returns when the control topic holds more than some facts, or after a while.
func Await(ctx context.Context, log stream.Log, topic string, facts Facts, wait time.Duration) error {
	r, err := log.Open(ctx, topic, 0, stream.At(facts.next))
	if err != nil {
		return fmt.Errorf("control: open: %w", err)
	}
	defer func() { _ = r.Close() }()
	if _, err := r.Read(ctx, wait); err != nil {
		return fmt.Errorf("control: read: %w", err)
	}
	return nil
}

// clone makes facts that can be added to.
func (f *Facts) clone() Facts {
	c := *f
	c.Live, c.Rules, c.begun, c.hot = maps.Clone(f.Live), maps.Clone(f.Rules), maps.Clone(f.begun), maps.Clone(f.hot)
	c.mapped = slices.Clone(f.mapped)
	return c
}

func (f *Facts) take(r *click.Record) error {
	key := string(r.Key)
	switch {
	case key == keyCluster && f.Cluster == nil:
		var c Cluster
		if err := json.Unmarshal(r.Value, &c); err != nil {
			return fmt.Errorf("cluster record: %w", err)
		}
		f.Cluster = &c
	case strings.HasPrefix(key, keyRules):
		var rules map[string]string
		if err := json.Unmarshal(r.Value, &rules); err != nil {
			return fmt.Errorf("rules record: %w", err)
		}
		if print := key[len(keyRules):]; f.Rules[print] == nil {
			f.Rules[print] = rules
		}
	case strings.HasPrefix(key, keyBegun):
		return f.begin(key, r)
	case strings.HasPrefix(key, keyRetired):
		if id, ok := topicID(key[len(keyRetired):]); ok {
			f.retire(id, r.Append)
		}
	case key == keyOpen:
		return f.open(r)
	case strings.HasPrefix(key, keyHot):
		return f.heat(key[len(keyHot):], r)
	case key == keyFilters:
		return f.filter(r)
	case strings.HasPrefix(key, keyCorrect):
		return f.correction(key[len(keyCorrect):], r)
	case strings.HasPrefix(key, keyLive):
		id, ok := topicID(key[len(keyLive):])
		if !ok {
			return fmt.Errorf("live record: bad topic id %q", key)
		}
		if f.LiveSince(id) == click.None {
			f.Live[id] = r.Append
		}
	}
	return nil
}

// ErrLost: the facts of an installation that has counted clicks are gone.
var ErrLost = errors.New("the installation's facts are lost")

// Settle returns the installation's facts. On the first start it writes them
// from want, with a random identity and secret unless want has them. It returns
// ErrMismatch when the configured numbers are not those the installation has. On the
// first start the counted topic, which only this installation writes, must be empty:
// else it returns ErrLost, since another secret would send an ad's clicks to two shards.
func Settle(ctx context.Context, log stream.Log, topic string, want Cluster, counted string) (Facts, error) {
	facts, err := Load(ctx, log, topic)
	if err != nil {
		return facts, err
	}
	if facts.Cluster == nil {
		if err := empty(ctx, log, counted); err != nil {
			return facts, err
		}
		if err := propose(ctx, log, topic, want); err != nil {
			return facts, err
		}
		if facts, err = Load(ctx, log, topic); err != nil {
			return facts, err
		}
		if facts.Cluster == nil {
			return facts, fmt.Errorf("control: topic %s does not show what was just written to it", topic)
		}
	}
	have := *facts.Cluster
	for _, n := range [...]struct {
		key        string
		have, want int64
	}{
		{"aggregator.shards", int64(have.Shards), int64(want.Shards)},
		{"reducer.partitions", int64(have.Reducers), int64(want.Reducers)},
		{"window.size (ms)", have.WindowMS, want.WindowMS},
	} {
		if n.have != n.want {
			return facts, fmt.Errorf("control: %w: %s is %d here for ever, the configuration says %d; "+
				"set it back, or start anew with another data_dir or kafka.topic_prefix and load the clicks again",
				ErrMismatch, n.key, n.have, n.want)
		}
	}
	return facts, nil
}

// empty returns an error unless nothing was ever written to a topic.
func empty(ctx context.Context, log stream.Log, topic string) error {
	t, err := log.Topic(ctx, topic)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	for p := range t.Partitions {
		_, end, err := log.Bounds(ctx, topic, p)
		if err != nil {
			return fmt.Errorf("control: bounds: %w", err)
		}
		if end > 0 {
			return fmt.Errorf("control: %w: the control topic is empty, but %s/%d is not, so clicks were counted here: "+
				"restore the control topic, or start anew with another kafka.topic_prefix or data_dir and load the clicks again", ErrLost, topic, p)
		}
	}
	return nil
}

func propose(ctx context.Context, log stream.Log, topic string, c Cluster) error {
	if c.ID == "" {
		var b [24]byte
		if _, err := rand.Read(b[:]); err != nil {
			return fmt.Errorf("control: make an identity: %w", err)
		}
		c.ID = hex.EncodeToString(b[:16])
		for _, x := range b[16:] {
			c.Secret = c.Secret<<8 | uint64(x)
		}
	}
	value, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("control: encode: %w", err)
	}
	if err := log.Append(ctx, topic, []stream.Message{{Key: []byte(keyCluster), Value: value}}); err != nil {
		return fmt.Errorf("control: write the installation's facts: %w", err)
	}
	return nil
}

// AnnounceLive states that clicks arrive in a topic as they happen. From the
// broker's time of the first such record on, a partition of the topic that
// never had a click follows the broker's clock.
func AnnounceLive(ctx context.Context, log stream.Log, topic string, id click.TopicID) error {
	return note(ctx, log, topic, keyLive+hex.EncodeToString(id[:]), []byte("{}"))
}
