package config

import "time"

// Config is everything a user can set. Each field has a `key`, its name in the
// file, and a `doc`: what it does, then when to change it. Defaults stand in
// [Default], limits in [Config.Validate].
type Config struct {
	DataDir    string     `key:"data_dir" doc:"Directory of the embedded broker, the embedded store and the snapshots; one process at a time may use it."`
	Kafka      Kafka      `key:"kafka" doc:"The log between the roles."`
	Embedded   Embedded   `key:"embedded" doc:"The broker inside the process, used when kafka.brokers is empty."`
	Input      Input      `key:"input" doc:"What a click looks like and where clicks come from."`
	Window     Window     `key:"window" doc:"The windows clicks are counted in."`
	Watermark  Watermark  `key:"watermark" doc:"How event time moves on."`
	Dedupe     Dedupe     `key:"dedupe" doc:"How repeated clicks are known."`
	Mapper     Mapper     `key:"mapper" doc:"The role that reads clicks, judges them and hands them to the shards."`
	Aggregator Aggregator `key:"aggregator" doc:"The role that counts, one shard per partition of the shuffle topic."`
	Reducer    Reducer    `key:"reducer" doc:"The role that merges what the shards say into results."`
	API        API        `key:"api" doc:"The HTTP API."`
	Ops        Ops        `key:"ops" doc:"Metrics and profiles, on a listener of their own."`
	Log        Log        `key:"log" doc:"The program's own log."`
	Shutdown   Shutdown   `key:"shutdown" doc:"How a process ends."`
}

// Kafka says where the log is.
type Kafka struct {
	Brokers     []string `key:"brokers" doc:"Addresses (host:port) of the Kafka brokers; empty runs the embedded broker."`
	TopicPrefix string   `key:"topic_prefix" doc:"Prefix of clickagg's own topics; change it to run two installations on one cluster."`
}

// Embedded configures the broker inside the process.
type Embedded struct {
	Listen     string        `key:"listen" doc:"Address the embedded broker listens on; any Kafka client can produce clicks to it."`
	Partitions int           `key:"partitions" doc:"Partitions of each input topic the embedded broker creates; more let more clients write at once."`
	SyncWrites bool          `key:"sync_writes" doc:"Whether every write reaches the disk before it is acknowledged; without it a crash of the operating system (not of clickagg) may lose the last seconds."`
	Retention  time.Duration `key:"retention" doc:"How long the embedded broker keeps raw clicks and what was made of them; a lost snapshot or store can be made again from as far back."`
}

// Input says what a click looks like.
type Input struct {
	Topics         []string `key:"topics" doc:"Topics clicks are read from."`
	Fields         Fields   `key:"fields" doc:"Names of the JSON fields that clickagg reads."`
	TimeUnit       string   `key:"time_unit" doc:"Unit of a numeric event time: s, ms, us or ns. It is never guessed."`
	MaxRecordBytes int      `key:"max_record_bytes" unit:"bytes" doc:"Largest record that is looked at; a larger one is rejected as too_large."`
}

// Fields maps clickagg's names to the names in the user's JSON.
type Fields struct {
	EventID string `key:"event_id" doc:"Field with the id that a repeated click repeats."`
	AdID    string `key:"ad_id" doc:"Field with the ad that was clicked."`
	Time    string `key:"ts" doc:"Field with the event time: a number in input.time_unit or RFC 3339 text."`
}

// Window configures the windows.
type Window struct {
	Size            time.Duration `key:"size" doc:"Length of a window; it must divide an hour. It cannot change in a data directory."`
	AllowedLateness time.Duration `key:"allowed_lateness" doc:"How long after a window became final a late click still corrects it; later ones go to the late topic."`
}

// Watermark configures the progress of event time.
type Watermark struct {
	Delay         time.Duration `key:"delay" doc:"How long a window stays open for clicks out of order; raise it when many clicks arrive as corrections."`
	MaxFuture     time.Duration `key:"max_future" doc:"How far ahead of the broker's append time an event time may lie before the click is rejected as ahead."`
	IdleTimeout   time.Duration `key:"idle_timeout" doc:"How long a partition must be silent and read to its end before its watermark moves on with the clock."`
	SkewMargin    time.Duration `key:"skew_margin" doc:"How far this machine's clock may be off the broker's; idle watermarks stay this far behind."`
	TrustedTopics []string      `key:"trusted_topics" doc:"Input topics whose producers may close windows with a watermark record; empty means all of the embedded broker's and none of another."`
}

// Dedupe configures duplicate detection.
type Dedupe struct {
	Horizon time.Duration `key:"horizon" doc:"Within how much event time the same event id of an ad is the same click; at least window.size + window.allowed_lateness + watermark.delay. Memory grows with it."`
	Key     []string      `key:"key" doc:"Fields that together make the event id when the record has none; empty rejects a record without an id."`
}

// Mapper configures the map role.
type Mapper struct {
	SectionClicks  int           `key:"section_clicks" doc:"Most records of one partition handed to the shards at once; more is faster when catching up and takes more memory."`
	CommitInterval time.Duration `key:"commit_interval" doc:"How often the position in the input is committed; a crash repeats at most this much work."`
	Heartbeat      time.Duration `key:"heartbeat" doc:"How often a partition without clicks tells the shards how far it is; also the pace of provisional counts when little happens."`
	MaxLead        time.Duration `key:"max_lead" doc:"How much event time a partition may be ahead of the slowest one that still has clicks to read; bounds memory when catching up."`
}

// Aggregator configures the aggregate role.
type Aggregator struct {
	Shards           int           `key:"shards" doc:"Number of shards that ads are hashed to; at least the cores of all aggregators together. It cannot change in a data directory."`
	Tick             time.Duration `key:"tick" doc:"How often provisional counts are sent on."`
	Top              int           `key:"top" doc:"Length of the ranked list kept per window; the largest n that a ranked answer comes from at once."`
	SnapshotInterval time.Duration `key:"snapshot_interval" doc:"How often the state is written beside the offset; shorter means a faster restart and more writing."`
	MaxIDs           int           `key:"max_ids" doc:"Most event ids one shard remembers (20 bytes each, tables are up to half empty); clicks over it are not counted but listed as crowded."`
	MaxAds           int           `key:"max_ads" doc:"Most ads one shard counts in one window; clicks of further ads are not counted but listed as crowded."`
}

// Reducer configures the reduce role.
type Reducer struct {
	Partitions int `key:"partitions" doc:"Partitions of the partials topic: how many reducers can work at once. It cannot change in a data directory."`
}

// API configures the HTTP API.
type API struct {
	Listen string `key:"listen" doc:"Address the API listens on."`
	URL    string `key:"url" doc:"Where the command line finds the API; empty derives it from api.listen."`
}

// Ops configures the operators' listener.
type Ops struct {
	Listen string `key:"listen" doc:"Address for /metrics and /debug/pprof; empty turns it off."`
}

// Log configures the program's own log.
type Log struct {
	Level  string `key:"level" doc:"Least level that is logged: debug, info, warn or error."`
	Format string `key:"format" doc:"How a line looks: console for people, json for machines."`
}

// Shutdown configures the end of a process.
type Shutdown struct {
	Timeout time.Duration `key:"timeout" doc:"How long a process that was told to stop may take to finish its work before it ends anyway."`
}

// Default is the configuration of a process that was told nothing.
func Default() Config {
	return Config{
		DataDir:  "clickagg-data",
		Kafka:    Kafka{Brokers: []string{}, TopicPrefix: "clickagg"},
		Embedded: Embedded{Listen: "127.0.0.1:9092", Partitions: 4, SyncWrites: true, Retention: 7 * 24 * time.Hour},
		Input: Input{
			Topics: []string{"clicks"}, Fields: Fields{EventID: "event_id", AdID: "ad_id", Time: "ts"},
			TimeUnit: "ms", MaxRecordBytes: 64 << 10,
		},
		Window: Window{Size: time.Minute, AllowedLateness: 5 * time.Minute},
		Watermark: Watermark{
			Delay: 15 * time.Second, MaxFuture: time.Minute, IdleTimeout: 5 * time.Second,
			SkewMargin: time.Second, TrustedTopics: []string{},
		},
		Dedupe:     Dedupe{Horizon: 10 * time.Minute, Key: []string{}},
		Mapper:     Mapper{SectionClicks: 20_000, CommitInterval: time.Second, Heartbeat: 500 * time.Millisecond, MaxLead: 10 * time.Minute},
		Aggregator: Aggregator{Shards: 4, Tick: time.Second, Top: 1000, SnapshotInterval: 30 * time.Second, MaxIDs: 20_000_000, MaxAds: 500_000},
		Reducer:    Reducer{Partitions: 2},
		API:        API{Listen: "127.0.0.1:8080"},
		Ops:        Ops{Listen: ""},
		Log:        Log{Level: "info", Format: "console"},
		Shutdown:   Shutdown{Timeout: 30 * time.Second},
	}
}
