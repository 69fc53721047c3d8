package config

import "time"

// Config is everything a user can set. Each field has a `key`, its name in the
// file, and a `doc`: what it does, then when to change it. Defaults stand in
// [Default], limits in [Config.Validate].
type Config struct {
	DataDir    string     `key:"data_dir" doc:"Directory of the embedded broker, the embedded store and the snapshots; one process at a time may use it."`
	Kafka      Kafka      `key:"kafka" doc:"The log between the roles."`
	Cassandra  Cassandra  `key:"cassandra" doc:"The store of counts, when there is a cluster; without hosts it is a directory in data_dir."`
	Snapshots  Snapshots  `key:"snapshots" doc:"Where shards and reducers keep their state, which is what a process that takes one over begins with."`
	Archive    Archive    `key:"archive" doc:"Cold storage of raw records, as Parquet files, for longer than the raw store keeps them."`
	Embedded   Embedded   `key:"embedded" doc:"The broker inside the process, used when kafka.brokers is empty."`
	Input      Input      `key:"input" doc:"What a click looks like and where clicks come from."`
	Filters    []Filter   `key:"filters" doc:"Named predicates over clicks; the clicks for which one is true are counted under its id as well (docs/FILTERS.md). Taken up at a reload, too. Without this key those that hold stay; [] is none."`
	Window     Window     `key:"window" doc:"The windows clicks are counted in."`
	Watermark  Watermark  `key:"watermark" doc:"How event time moves on."`
	Dedupe     Dedupe     `key:"dedupe" doc:"How repeated clicks are known."`
	Mapper     Mapper     `key:"mapper" doc:"The role that reads clicks, judges them and hands them to the shards."`
	Aggregator Aggregator `key:"aggregator" doc:"The role that counts, one shard per partition of the shuffle topic."`
	Hot        Hot        `key:"hot" doc:"When one ad is counted by several shards, because it has so many of the clicks."`
	Reducer    Reducer    `key:"reducer" doc:"The role that merges what the shards say into results."`
	Writer     Writer     `key:"writer" doc:"The roles that carry results, and raw records, into the store."`
	Reconcile  Reconcile  `key:"reconcile" doc:"The role that holds what is stored against the clicks themselves, again and again."`
	Correction Correction `key:"correction" doc:"How counts of closed windows are changed, by a replay or a repair."`
	API        API        `key:"api" doc:"The HTTP API."`
	Ops        Ops        `key:"ops" doc:"Metrics and profiles, on a listener of their own."`
	Log        Log        `key:"log" doc:"The program's own log."`
	Shutdown   Shutdown   `key:"shutdown" doc:"How a process ends."`
}

// Kafka says where the log is.
type Kafka struct {
	Brokers        []string      `key:"brokers" doc:"Addresses (host:port) of the Kafka brokers; empty runs the embedded broker."`
	TopicPrefix    string        `key:"topic_prefix" doc:"Prefix of clickagg's own topics and consumer groups; change it to run two installations on one cluster."`
	Replication    int           `key:"replication" doc:"Replicas of each topic that clickagg creates; the embedded broker has one."`
	MinInsync      int           `key:"min_insync" doc:"Replicas that must have a record before it counts as written; below replication, or one broker that is down stops everything."`
	Retention      time.Duration `key:"retention" doc:"How long clicks and what was made of them are kept in topics that clickagg creates; a lost snapshot or store can be made again from as far back."`
	SessionTimeout time.Duration `key:"session_timeout" doc:"How long a process may be silent before others take its partitions; the brokers' group.min.session.timeout.ms is the least they take."`
	AllowPlaintext bool          `key:"allow_plaintext" doc:"Whether brokers beyond this machine may be spoken to without TLS."`
	TLS            TLS           `key:"tls" doc:"Encryption between clickagg and the brokers."`
	SASL           SASL          `key:"sasl" doc:"How clickagg proves to the brokers who it is."`
}

// TLS configures an encrypted connection to a server.
type TLS struct {
	Enabled    bool   `key:"enabled" doc:"Whether connections are encrypted; TLS 1.2 or newer, and the server must prove its name."`
	CAFile     string `key:"ca_file" doc:"PEM file with the authorities that may have signed the server's certificate; empty trusts the system's."`
	CertFile   string `key:"cert_file" doc:"PEM file with the certificate clickagg shows the server; empty shows none."`
	KeyFile    string `key:"key_file" doc:"PEM file with the key to cert_file."`
	ServerName string `key:"server_name" doc:"Name the server's certificate must be for; empty is the name it is called by."`
}

// SASL configures authentication at the brokers.
type SASL struct {
	Mechanism string `key:"mechanism" doc:"How the password is proved: plain, scram-sha-256 or scram-sha-512; none does without."`
	User      string `key:"user" doc:"Name to log in with."`
	Password  Secret `key:"password" doc:"Password to log in with."`
}

// Cassandra says where counts are kept in a cluster.
type Cassandra struct {
	Hosts          []string      `key:"hosts" doc:"Addresses (host:port) of some Cassandra nodes, all with the same port; empty keeps counts in data_dir."`
	Keyspace       string        `key:"keyspace" doc:"Keyspace of this installation; made by clickagg schema apply."`
	Datacenter     string        `key:"datacenter" doc:"Data centre whose nodes are asked; empty is that of the first host reached."`
	Replication    []string      `key:"replication" doc:"Replicas of every row by data centre, as dc:number; counts from when the schema is applied."`
	Consistency    string        `key:"consistency" doc:"How many replicas must have a row that was written and answer a read: local_quorum reads what was written, the others trade that for less waiting."`
	User           string        `key:"user" doc:"Name to log in with; empty logs in without."`
	Password       Secret        `key:"password" doc:"Password to log in with."`
	AllowPlaintext bool          `key:"allow_plaintext" doc:"Whether nodes beyond this machine may be spoken to without TLS."`
	TLS            TLS           `key:"tls" doc:"Encryption between clickagg and Cassandra."`
	CountsTTL      time.Duration `key:"counts_ttl" doc:"How long counts are kept after they were written."`
	RankingsTTL    time.Duration `key:"rankings_ttl" doc:"How long ranked lists are kept after they were written."`
	LineageTTL     time.Duration `key:"lineage_ttl" doc:"How long is kept what the counts of a window are made of (the answers of query lineage)."`
	RawTTL         time.Duration `key:"raw_ttl" doc:"How long the role raw keeps records after they were written; without hosts, after the broker received them."`
	InFlight       int           `key:"in_flight" doc:"Most requests one process has under way; more is faster until the nodes are busy."`
	Timeout        time.Duration `key:"timeout" doc:"After how long a request is given up and tried again."`
}

// Snapshots says where states are kept.
type Snapshots struct {
	URL string `key:"url" doc:"A directory, or s3://bucket/prefix; empty is snapshots in data_dir. In a cluster all processes must reach the same place, or a moved shard reads its whole log again."`
	S3  S3     `key:"s3" doc:"Object storage that speaks the S3 protocol."`
}

// Archive says where raw records go when they are old.
type Archive struct {
	URL   string        `key:"url" doc:"A directory, or s3://bucket/prefix; empty is archive in data_dir. In a cluster all processes of the roles archive and api must reach the same place."`
	After time.Duration `key:"after" doc:"How long ago an hour must have ended before what was received in it is archived; 0 archives none. With it, a raw store in data_dir deletes nothing that is not archived."`
	S3    S3            `key:"s3" doc:"Object storage that speaks the S3 protocol."`
}

// S3 configures object storage.
type S3 struct {
	Endpoint  string `key:"endpoint" doc:"Where the storage is, such as https://s3.example.com; empty is AWS in the region."`
	Region    string `key:"region" doc:"Region the bucket is in."`
	AccessKey Secret `key:"access_key" doc:"Access key; empty takes what the environment or the machine's role offers."`
	SecretKey Secret `key:"secret_key" doc:"Secret key to access_key."`
	CAFile    string `key:"ca_file" doc:"PEM file with the authorities that may have signed the storage's certificate; empty trusts the system's."`
}

// Embedded configures the broker inside the process.
type Embedded struct {
	Listen     string `key:"listen" doc:"Address the embedded broker listens on; any Kafka client can produce clicks to it."`
	SyncWrites bool   `key:"sync_writes" doc:"Whether every write reaches the disk before it is acknowledged; without it a crash of the operating system (not of clickagg) may lose the last seconds."`
}

// Input says what a click looks like.
type Input struct {
	Topics         []string      `key:"topics" doc:"Topics clicks are read from. A name that ends in * stands for all topics that begin so, also those made later."`
	Partitions     int           `key:"partitions" doc:"Partitions of each input topic that clickagg creates; more let more mappers work at once."`
	Refresh        time.Duration `key:"refresh" doc:"How often mappers look for new input topics and partitions."`
	Fields         Fields        `key:"fields" doc:"Names of the JSON fields that clickagg reads."`
	TimeUnit       string        `key:"time_unit" doc:"Unit of a numeric event time: s, ms, us or ns. It is never guessed."`
	Types          []string      `key:"types" doc:"Further fields of the JSON that filters may read, as name:type; a type is string, int, float or bool."`
	MaxRecordBytes int           `key:"max_record_bytes" unit:"bytes" doc:"Largest record that is looked at; a larger one is rejected as too_large."`
}

// Fields maps clickagg's names to the names in the user's JSON.
type Fields struct {
	EventID string `key:"event_id" doc:"Field with the id that a repeated click repeats."`
	AdID    string `key:"ad_id" doc:"Field with the ad that was clicked."`
	Time    string `key:"ts" doc:"Field with the event time: a number in input.time_unit or RFC 3339 text."`
}

// Filter is a named predicate.
type Filter struct {
	ID    string `key:"id" doc:"What questions call it: 1 to 32 letters, digits and '.', '_', '-'; 000 is all clicks and cannot be defined."`
	Name  string `key:"name" doc:"What people call it; at most 200 bytes."`
	Where string `key:"where" doc:"The predicate."`
}

// Window configures the windows.
type Window struct {
	Size            time.Duration `key:"size" doc:"Length of a window; it must divide an hour. It cannot change in an installation."`
	AllowedLateness time.Duration `key:"allowed_lateness" doc:"How long after a window became final a late click still corrects it; later ones go to the late topic."`
	Rollups         []string      `key:"rollups" doc:"Longer times that writers add counts up to, so that questions about days and weeks read little: 1h, 24h or both; empty makes none. What was made stays in use."`
	TimeZone        string        `key:"time_zone" doc:"Time zone whose days rollups of 24h and steps of granularity 1d are, as in the IANA database, such as Europe/Berlin. Other answers are the same in any; questions about whole days of this one read least. Give processes that answer the same as those that write."`
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
	Shards           int           `key:"shards" doc:"Number of shards that ads are hashed to; at least the cores of all aggregators together. It cannot change in an installation."`
	StandbyGroup     string        `key:"standby_group" doc:"Name of a second set of aggregators over the same shards, such as b; a process with another name here works beside the first set, and either may fail without a gap. Empty is the first set."`
	Tick             time.Duration `key:"tick" doc:"How often provisional counts are sent on."`
	Top              int           `key:"top" doc:"Length of the ranked list kept per window; the largest n that a ranked answer comes from at once."`
	SnapshotInterval time.Duration `key:"snapshot_interval" doc:"How often the state is written beside the offset; shorter means a faster restart and more writing."`
	MaxIDs           int           `key:"max_ids" doc:"Most event ids one shard remembers (20 bytes each, with filters up to 40 more; tables are up to half empty); clicks over it are not counted but listed as crowded."`
	MaxAds           int           `key:"max_ads" doc:"Most ads one shard counts in one window; clicks of further ads are not counted but listed as crowded."`
}

// Hot configures the spreading of hot ads.
type Hot struct {
	Threshold int `key:"threshold" doc:"Clicks of one ad in one window from which on it is spread over several shards; it is merged back when no window among the last five had half as many. 0 spreads none by itself."`
	Spread    int `key:"spread" doc:"Over how many shards a hot ad is spread; 0 is all."`
}

// Reducer configures the reduce role.
type Reducer struct {
	Partitions int `key:"partitions" doc:"Partitions of the partials topic: how many reducers can work at once. It cannot change in an installation."`
}

// Writer configures the roles writer and raw.
type Writer struct {
	MaxRefused   int           `key:"max_refused" doc:"How many records in a row may go to the topic for rejected records because the store can never hold them; one more stops the process, as something else is wrong then. 0 stops at the first."`
	RetryMaxWait time.Duration `key:"retry_max_wait" doc:"Most time between two tries of a store that is away; tries begin 0.1s apart, and the time between them doubles. They do not end: what is not stored waits in the log."`
}

// Reconcile configures the role reconcile.
type Reconcile struct {
	Schedule string        `key:"schedule" doc:"When: a length of time that divides a day, such as 1h, or a time of the day in window.time_zone, such as 02:00."`
	Range    time.Duration `key:"range" doc:"How far back from now each run goes; longer than its pause, for clicks that come too late."`
}

// Correction configures how closed windows are corrected.
type Correction struct {
	RowsPerSecond int `key:"rows_per_second" doc:"Most counts a correction changes in a second. More is sooner done, while answers over its time are provisional; less leaves more to what is counted live."`
}

// API configures the HTTP API.
type API struct {
	Listen         string    `key:"listen" doc:"Address the API listens on; beyond this machine it needs api.tls and api.tokens, or api.insecure."`
	URL            string    `key:"url" doc:"Where the command line finds the API; empty derives it from api.listen."`
	Insecure       bool      `key:"insecure" doc:"Whether the API may listen beyond this machine without TLS or without asking who is there, where the network or a proxy sees to both."`
	TLS            APITLS    `key:"tls" doc:"Encryption between readers and the API; files are read anew when they change."`
	Tokens         []Token   `key:"tokens" doc:"Who may ask the API; without any, and without api.tokens_file, everybody may. 'clickagg token new' makes an entry."`
	TokensFile     string    `key:"tokens_file" doc:"YAML file with more entries such as those of api.tokens; it is read anew when it changes, so a token can be given and withdrawn without a restart."`
	Rate           int       `key:"rate" doc:"Most requests a second of one token, or of one address without any; 0 is unlimited. Requests of this machine to an API without tokens are never limited."`
	Burst          int       `key:"burst" doc:"Requests that may come at once after a pause, before api.rate holds."`
	MaxConnections int       `key:"max_connections" doc:"Most connections at once; further ones wait."`
	CORS           CORS      `key:"cors" doc:"Which web pages of other origins may ask the API with a token of theirs."`
	Client         APIClient `key:"client" doc:"How the command line proves to the API who it is, and the API to it."`
}

// APITLS configures the API's own encryption.
type APITLS struct {
	CertFile     string `key:"cert_file" doc:"PEM file with the API's certificate and those between it and its authority; empty speaks plain HTTP."`
	KeyFile      string `key:"key_file" doc:"PEM file with the key to cert_file."`
	ClientCAFile string `key:"client_ca_file" doc:"PEM file with the authorities whose clients are known by their certificates (mutual TLS); api.tokens says who they are."`
}

// Token is somebody who may ask the API.
type Token struct {
	Name    string   `key:"name" doc:"Who it is, in the log; at most 64 letters, digits and '.', '_', '-', '@'."`
	Hash    string   `key:"hash" doc:"Hash of the token it shows, as 'clickagg token new' prints it; empty when it shows a certificate."`
	Subject string   `key:"subject" doc:"Subject of the certificate it shows, as RFC 2253 writes it: 'CN=acme,O=Acme'; empty when it shows a token."`
	Scope   string   `key:"scope" doc:"What it may do: read asks for counts; admin also takes all counts out."`
	Ads     []string `key:"ads" doc:"The ads it may see, such as those of an advertiser: ids, or beginnings of ids with a * after them. Without any it sees all."`
}

// CORS configures what browsers let pages of other origins do.
type CORS struct {
	Origins []string `key:"origins" doc:"Origins of such pages, such as https://reports.example.com; empty allows none."`
}

// APIClient configures the command line's side of the API.
type APIClient struct {
	Token      Secret `key:"token" doc:"Token that the command line shows; it is sent over TLS, or to this machine, only."`
	CAFile     string `key:"ca_file" doc:"PEM file with the authorities that may have signed the API's certificate; empty trusts the system's."`
	CertFile   string `key:"cert_file" doc:"PEM file with the certificate the command line shows; empty shows none."`
	KeyFile    string `key:"key_file" doc:"PEM file with the key to cert_file."`
	ServerName string `key:"server_name" doc:"Name the API's certificate must be for; empty is the name it is called by."`
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

const day = 24 * time.Hour

// Default is the configuration of a process that was told nothing.
func Default() Config {
	return Config{
		DataDir: "clickagg-data",
		Kafka: Kafka{
			Brokers: []string{}, TopicPrefix: "clickagg", Replication: 3, MinInsync: 2, Retention: 7 * day,
			SessionTimeout: 6 * time.Second, SASL: SASL{Mechanism: "none"},
		},
		Cassandra: Cassandra{
			Hosts: []string{}, Keyspace: "clickagg", Replication: []string{"datacenter1:3"}, Consistency: "local_quorum",
			CountsTTL: 90 * day, RankingsTTL: 90 * day, LineageTTL: 90 * day, RawTTL: 30 * day, InFlight: 128, Timeout: 10 * time.Second,
		},
		Snapshots: Snapshots{S3: S3{Region: "us-east-1"}},
		Archive:   Archive{S3: S3{Region: "us-east-1"}},
		Embedded:  Embedded{Listen: "127.0.0.1:9092", SyncWrites: true},
		Input: Input{
			Topics: []string{"clicks"}, Partitions: 4, Refresh: 10 * time.Second, Fields: Fields{EventID: "event_id", AdID: "ad_id", Time: "ts"},
			TimeUnit: "ms", Types: []string{}, MaxRecordBytes: 64 << 10,
		},
		Window: Window{Size: time.Minute, AllowedLateness: 5 * time.Minute, Rollups: []string{"1h", "24h"}, TimeZone: "UTC"},
		Watermark: Watermark{
			Delay: 15 * time.Second, MaxFuture: time.Minute, IdleTimeout: 5 * time.Second,
			SkewMargin: time.Second, TrustedTopics: []string{},
		},
		Dedupe:     Dedupe{Horizon: 10 * time.Minute, Key: []string{}},
		Mapper:     Mapper{SectionClicks: 20_000, CommitInterval: time.Second, Heartbeat: 500 * time.Millisecond, MaxLead: 10 * time.Minute},
		Aggregator: Aggregator{Shards: 4, Tick: 500 * time.Millisecond, Top: 1000, SnapshotInterval: 30 * time.Second, MaxIDs: 20_000_000, MaxAds: 500_000},
		Hot:        Hot{Threshold: 200_000},
		Reducer:    Reducer{Partitions: 2},
		Writer:     Writer{MaxRefused: 100, RetryMaxWait: 10 * time.Second},
		Reconcile:  Reconcile{Schedule: "02:00", Range: 26 * time.Hour},
		Correction: Correction{RowsPerSecond: 20_000},
		API: API{
			Listen: "127.0.0.1:8080", Tokens: []Token{}, Rate: 100, Burst: 200, MaxConnections: 1000, CORS: CORS{Origins: []string{}},
		},
		Ops:      Ops{Listen: ""},
		Log:      Log{Level: "info", Format: "console"},
		Shutdown: Shutdown{Timeout: 30 * time.Second},
	}
}
