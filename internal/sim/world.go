package sim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/aggregator"
	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/recount"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper"
	"github.com/clickagg/clickagg/mapper/rule"
	"github.com/clickagg/clickagg/reducer"
	"github.com/clickagg/clickagg/reducer/merge"
	"github.com/clickagg/clickagg/storage"
	"github.com/clickagg/clickagg/storage/writer"
)

const (
	input  = "clicks"
	began  = 1_764_000_000_000 // Unix ms, the start of an hour
	secret = 7                 // of the cluster: clicks' identities depend on it
)

// settings are the times and sizes of a simulated installation, small so that
// windows open and close within a short history. Times are in ms.
type settings struct {
	size, future, idle, margin         int64
	rules                              rules // by which the first mappers judge
	sources, shards, reducers, results int
}

func defaults() settings {
	return settings{
		size: 60_000, future: 60_000, idle: 5_000, margin: 1_000,
		rules:   rules{lateness: 120_000, delay: 15_000, horizon: 300_000},
		sources: 2, shards: 2, reducers: 2, results: 2,
	}
}

// world is one simulated installation and everything that happens to it.
type world struct {
	choose  Chooser
	weather weather
	cfg     settings
	mutant  mutant
	now     int64 // the broker's clock, Unix ms

	log      *cluster
	db       *database
	snaps    map[string][]byte
	raw      map[click.Source][]click.Record // the raw store
	cold     map[string][]byte               // the archive
	gathered map[*recount.Gathered]bool      // by repairs
	topics   click.Topics
	produced [][]event // what lies in each input partition
	eras     [][]era   // by which rules each input partition was judged
	ruled    map[string]rules
	maker    maker

	roles   []*role
	procs   []*proc // every process that still runs, zombies too
	spawned int
	delayed []delayed
	steps   int
	kills   int
	zombies int
	refused int
	resting bool // no more faults: everything must come to rest

	damages     int // of the store
	corrections int // that changed something
	resumed     int // that another process had begun
	strikes     int // at whoever said one
	finals      int // answers that were called final
	answers     map[question]asked
	slices      int // that were archived
	reading     []*reading
	finale      bool // everything is at rest, and corrected once more
	mended      bool
	mendedTo    int64 // event time
}

// role is one place in the pipeline: a source, a shard, its standby, a reducer or a
// writer's partition. Exactly one process at a time is meant to fill it.
type role struct {
	name  string
	skew  int64 // of the machine's clock, ms
	run   func(ctx context.Context, p *proc) error
	now   *proc // who owns the partition
	rules rules // by which the next process is to judge
	// changes: but it is started with others, for once.
	changes bool
}

// delayed is something that happens later, whoever has died meanwhile.
type delayed struct {
	at int64
	f  func()
}

func (w *world) later(after int64, f func()) {
	w.delayed = append(w.delayed, delayed{w.now + after, f})
}

// happen lets what is due happen.
func (w *world) happen() {
	for i := 0; i < len(w.delayed); {
		if w.delayed[i].at > w.now {
			i++
			continue
		}
		f := w.delayed[i].f
		w.delayed = slices.Delete(w.delayed, i, i+1)
		f()
	}
}

func newWorld(choose Chooser, cfg settings, weather weather, m mutant) *world {
	w := &world{
		choose: choose, weather: weather, cfg: cfg, mutant: m, now: began,
		log: newCluster(), db: newDatabase(), snaps: map[string][]byte{}, raw: map[click.Source][]click.Record{}, cold: map[string][]byte{}, gathered: map[*recount.Gathered]bool{}, topics: click.TopicsOf("clickagg"),
		produced: make([][]event, cfg.sources), eras: make([][]era, cfg.sources), ruled: map[string]rules{},
		answers: map[question]asked{},
	}
	w.db.released = w.released
	w.db.naive, w.db.adds, w.db.stale = m == lastWriteWins, m == increments, m == staleDigests
	for name, n := range map[string]int{
		input: cfg.sources, w.topics.Shuffle: cfg.shards, w.topics.Partials: cfg.reducers,
		w.topics.Results: cfg.results, w.topics.Rankings: cfg.reducers,
		w.topics.Rejected: 1, w.topics.Late: 1, w.topics.Control: 1,
	} {
		w.log.create(name, n)
	}
	w.log.land(w.now, w.topics.Control, []stream.Message{{Key: []byte("cluster"), Value: fmt.Appendf(nil, `{"shards":%d,"window_ms":%d}`, cfg.shards, cfg.size)}})
	w.maker = newMaker(w)
	w.makeRoles()
	return w
}

// makeRoles wires the real stages to the fakes, as cmd does to the real things.
func (w *world) makeRoles() {
	c, nop := w.cfg, zap.NewNop()
	add := func(name string, run func(ctx context.Context, p *proc) error) {
		skew := int64(w.choose(int(2*w.weather.skew(c.margin)), "clock skew of "+name))
		w.roles = append(w.roles, &role{name: name, skew: (skew + 1) / 2 * (1 - 2*(skew%2)), run: run, rules: c.rules})
	}
	source := stream.Topic{Name: input, ID: w.log.topics[input].id, Partitions: int32(c.sources)}
	for i := range c.sources {
		add("mapper "+strconv.Itoa(i), func(ctx context.Context, p *proc) error {
			judge := w.judge(p.rules)
			judge.Rules.Tick = w.tick()
			m := mapper.New(w.mutant.log(handle{p}, w), mapper.Config{
				Group: mapperGroup, Topics: w.topics, Trusted: func(string) bool { return true }, Rules: p.rules.keys(),
				Rule:           judge,
				Ahead:          time.Duration(w.weather.ahead) * time.Millisecond,
				CommitInterval: second, Heartbeat: second / 2, SkewMargin: second * 2, MaxLead: second * 600,
				Rejected: 1, Late: 1,
			}, int32(c.sources), clock{p}, mapper.NewMetrics(nil), nop)
			return m.Source(ctx, source, int32(i))
		})
	}
	for _, group := range w.weather.groups() {
		for i := range c.shards {
			add(fmt.Sprintf("shard %d %s", i, group), func(ctx context.Context, p *proc) error {
				a := aggregator.New(w.mutant.log(handle{p}, w), blob.Store(blobs{p}), aggregator.Config{
					Group: "aggregator" + group, Standby: group, Cluster: "sim", Topics: w.topics, Snapshots: second * 5, Rejected: 1, Piece: 64,
					Window: window.Config{
						Shards: int32(c.shards), Reducers: int32(c.reducers), Size: c.size, Filter: click.FilterAll, PartialBytes: w.partialBytes(),
					},
					Background: func(f func()) { f() },
					Hot:        aggregator.Hot{Threshold: int64(w.weather.hot), Shards: int32(c.shards), Router: w.router()},
				}, clock{p}, aggregator.NewMetrics(nil), nop)
				return a.Shard(ctx, int32(i))
			})
		}
	}
	for i := range c.reducers {
		add("reducer "+strconv.Itoa(i), func(ctx context.Context, p *proc) error {
			r := reducer.New(w.mutant.log(handle{p}, w), blobs{p}, reducer.Config{
				Group: "reducer", Cluster: "sim", Topics: w.topics, Snapshots: second * 5,
				Merge:   merge.Config{Reducers: int32(c.reducers)},
				Results: int32(c.results), Rankings: int32(c.reducers), Background: func(f func()) { f() },
			}, clock{p}, reducer.NewMetrics(nil), nop)
			return r.Partition(ctx, int32(i))
		})
		add("rankings "+strconv.Itoa(i), func(ctx context.Context, p *proc) error {
			return w.writer(p).Rankings(ctx, int32(i))
		})
	}
	for i := range c.results {
		add("results "+strconv.Itoa(i), func(ctx context.Context, p *proc) error {
			return w.writer(p).Results(ctx, int32(i))
		})
	}
	if w.weather.mends > 0 {
		add("operator", w.mend)
		add("reader", w.read)
	}
	if w.weather.mends > 0 && w.weather.archives {
		add("archiver", w.archive)
		for i := range c.sources {
			add(fmt.Sprintf("raw %d", i), func(ctx context.Context, p *proc) error { return w.keep(ctx, p, int32(i)) })
		}
	}
}

func (w *world) router() click.Router { return click.NewRouter(secret, int32(w.cfg.shards)) }

// judge is how clicks are judged by some rules.
func (w *world) judge(r rules) rule.Config {
	c := w.cfg
	return rule.Config{
		Size: c.size, Lateness: r.lateness, Delay: r.delay, MaxFuture: c.future, IdleTimeout: c.idle,
		EventIDField: "event_id", AdIDField: "ad_id", TimeField: "ts", TimeUnit: rule.Millis,
		MaxRecordBytes: 1 << 16, SectionClicks: 5, Router: w.router(), Shards: int32(c.shards),
		Rules: click.Rules{Horizon: r.horizon, MaxIDs: 1 << 20, MaxAds: 1 << 20, Top: ranked, Tick: 1_000},
	}
}

// ranked is how many ads a ranking has.
const ranked = 3

// tick is how often a mapper has counts sent on: it may be started with another
// configuration than the one before it.
func (w *world) tick() int64 {
	if w.weather.oneIn(w, w.weather.retuned, "started with another tick") {
		return int64(200 + w.choose(10_000, "which tick"))
	}
	return 1_000
}

// partialBytes is how much a shard says in one record: so little, now and then, that
// what it says at once takes several.
func (w *world) partialBytes() int {
	if w.weather.oneIn(w, w.weather.chopped, "started with small records") {
		return 30 + w.choose(400, "how small")
	}
	return 0
}

func (w *world) writer(p *proc) *writer.Writer {
	cfg := writer.Config{Group: "writer", Topics: w.topics, Window: w.cfg.size, MaxRows: 50, CommitInterval: second}
	return writer.New(w.mutant.log(handle{p}, w), storage.Store(client{p: p}), cfg, clock{p}, writer.NewMetrics(nil), zap.NewNop())
}

// start fills a role with a new process.
func (w *world) start(r *role) {
	r.now = w.spawn(r, r.run)
	r.now.draw()
	r.now.forget()
	w.procs = append(w.procs, r.now)
}

// failure is a broken promise, with the history it needs to be told.
func (w *world) failure(format string, args ...any) error {
	return fmt.Errorf("after %d steps, %d kills, %d zombies: %w", w.steps, w.kills, w.zombies, fmt.Errorf(format, args...))
}
