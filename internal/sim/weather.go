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
	lopsided                                                 int // this many events come before a second source has one
	retuned                                                  int // a start in so many has another tick
	history                                                  int // clicks are this many hours old, as of an old file
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
		kill: often("kills", 2000, 400, 100), freeze: often("freezes", 2000, 500), term: often("stops", 2000),
		cut: often("cut requests", 200, 40), twice: often("repeated requests", 50, 8), held: often("held requests", 100, 20),
		away: often("store away", 50, 10), blob: often("bad snapshots", 10, 3), wipe: often("snapshots wiped", 5000),
		repeat: often("repeats", 20, 4), garbage: often("garbage", 30, 5), disorder: often("disorder", 10, 3),
		late: often("late clicks", 20, 5), forged: often("forged times", 30, 8), pause: often("pauses", 100, 30),
		produces: 2 + choose(20, "weather: rate"), events: 20 + choose(120, "weather: events"),
	}
	w.retuned = []int{0, 2}[choose(2, "weather: retuned")]
	w.history = []int{0, 0, 24}[choose(3, "weather: history")]
	w.lopsided = []int{0, w.events / 2}[choose(2, "weather: lopsided")]
	return w
}

// calm is after the last fault, when everything must come to rest.
func (w *world) calm() bool { return w.resting }
