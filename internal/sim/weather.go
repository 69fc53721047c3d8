package sim

import "time"

const second = time.Second

// weather says how often each unkindness comes: once in n chances, never at 0.
// Each history has its own, so that a rare combination is not drowned in the
// noise of all the others (swarm testing).
type weather struct {
	kill, freeze, term, cut, twice, held, away, blob, wipe   int
	repeat, garbage, disorder, late, forged, pause, produces int
	events                                                   int
	lopsided                                                 int  // this many events come before a second source has one
	retuned                                                  int  // a start in so many has another tick
	chopped                                                  int  // and small records
	ruled                                                    int  // and other rules
	moves                                                    int  // a partition moves while its owner is at work
	gives                                                    int  // a request is given up by who was told to stop
	hot                                                      int  // so many clicks in a window make an ad hot
	pins                                                     int  // an operator spreads an ad or ends that
	sifts                                                    int  // an operator sets other filters
	mends                                                    int  // ms between two replays or repairs, at most; rules stay then
	admits                                                   bool // they are repairs, with late clicks
	strikes                                                  int  // at an operator while he says a correction, at most
	pace                                                     int  // rows of a correction that are said in a second: with few, each window by itself
	archives                                                 bool // clicks are read from raw store and archive then
	spoils                                                   int  // something stored is spoilt
	ahead                                                    int  // ms that are opened beyond what is needed
	standby                                                  bool
	guarded                                                  bool // the coordinator asks who commits; it always asks mappers
	stamped                                                  bool // the brokers tell their time
	history                                                  int  // clicks are this many hours old, as of an old file
}

func (weather) oneIn(w *world, n int, what string) bool {
	return !w.calm() && w.choose.oneIn(n, what)
}

// drawWeather draws a weather. The kindest has no fault at all.
func drawWeather(choose Chooser) weather {
	often := func(what string, n ...int) int {
		return append([]int{0}, n...)[choose(len(n)+1, "weather: "+what)]
	}
	w := weather{
		kill: often("kills", 2000, 400, 100), freeze: often("freezes", 2000, 500), term: often("stops", 2000, 200),
		cut: often("cut requests", 200, 40), twice: often("repeated requests", 50, 8), held: often("held requests", 100, 20),
		away: often("store away", 50, 10), blob: often("bad snapshots", 10, 3), wipe: often("snapshots wiped", 5000),
		repeat: often("repeats", 20, 4), garbage: often("garbage", 30, 5), disorder: often("disorder", 10, 3),
		late: often("late clicks", 20, 5), forged: often("forged times", 30, 8), pause: often("pauses", 100, 30),
		produces: 2 + choose(20, "weather: rate"), events: 20 + choose(120, "weather: events"),
	}
	w.retuned = []int{0, 2}[choose(2, "weather: retuned")]
	w.history = []int{0, 0, 24}[choose(3, "weather: history")]
	w.chopped = []int{0, 2}[choose(2, "weather: chopped")]
	w.ruled = []int{0, 3}[choose(2, "weather: ruled")]
	w.moves = often("moves", 2000, 300, 100)
	w.gives = often("requests given up", 3)
	w.standby = choose(2, "weather: standby") == 1
	w.guarded = choose(2, "weather: anybody commits") == 0
	w.stamped = choose(2, "weather: broker time") == 1
	if choose(4, "weather: hand-overs") == 3 {
		w.handOvers()
	}
	if choose(3, "weather: hot ads") > 0 {
		w.heat(choose)
	}
	w.sifts = often("filters", 1000, 200)
	if w.ruled == 0 {
		w.mends = often("corrections", 60_000, 5_000)
		w.admits, w.archives = choose(2, "weather: repairs") == 1, choose(2, "weather: archives") == 1
		w.spoils = []int{1000, 100}[choose(2, "weather: the store spoils")]
		w.strikes = often("strikes", 1, 4)
	}
	w.pace = []int{1, 1000}[choose(2, "weather: pace of corrections")]
	w.lopsided = []int{0, w.events / 2}[choose(2, "weather: lopsided")]
	return w
}

// handOvers lets sources change hands and rules all the time, in order as a rule, with
// clicks such that the rules matter.
func (w *weather) handOvers() {
	w.ruled, w.moves, w.freeze, w.late, w.disorder, w.kill, w.mends = 3, 100, 500, 5, 3, 0, 0
}

// heat lets ads become hot and cool again, and operators interfere.
func (w *weather) heat(choose Chooser) {
	w.hot = 2 + choose(10, "weather: what is hot")
	w.pins = []int{0, 2000, 300}[choose(3, "weather: pins")]
	w.ahead = []int{0, 0, 60_000}[choose(3, "weather: opened ahead")]
}

// groups are the sets of shards: with a standby each shard is run twice.
func (w *weather) groups() []string {
	if w.standby {
		return []string{"", "b"}
	}
	return []string{""}
}

// skew is by how much a machine's clock may be wrong: when the brokers tell their
// time, by anything.
func (w *weather) skew(margin int64) int64 {
	if w.stamped {
		return 48 * 3_600_000
	}
	return margin
}

// calm is after the last fault, when everything must come to rest.
func (w *world) calm() bool { return w.resting }
