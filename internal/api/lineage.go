package api

import (
	"encoding/hex"
	"net/http"
	"time"

	"github.com/clickagg/clickagg/internal/click"
)

// Lineage answers what the counts of a window are made of, as of the moment at
// which it became final or was last corrected.
type Lineage struct {
	StartTime time.Time       `json:"start_time"`
	ToTime    time.Time       `json:"to_time"` // exclusive
	State     string          `json:"state"`   // final or corrected
	Version   int64           `json:"version"` // that of the results said with it; one more than an offset of the reducer's log
	Reducer   int32           `json:"reducer"` // the one whose window it is, of Reducers
	Reducers  int32           `json:"reducers"`
	Shards    []ShardPosition `json:"shards"`
	Sources   []Origin        `json:"sources"`
	Holds     bool            `json:"holds"` // whether the accounts of all sources do
}

// ShardPosition is how far a shard had read.
type ShardPosition struct {
	Shard    int32 `json:"shard"`
	Position int64 `json:"position"` // offset of the shuffle topic before which everything is counted
}

// Origin is how far a source had been read.
type Origin struct {
	TopicID    string `json:"topic_id"` // which of all topics that ever had the name, in hex
	Heard      int64  `json:"heard"`    // offset before which every shard had everything
	Settled    int64  `json:"settled"`  // the last offset at which all shards were when they spoke: the accounts are those up to there
	Accounting        // with nothing pending
}

func (s *Server) lineage(w http.ResponseWriter, c *call) error {
	text, ok := c.params.one("start_time")
	if !ok {
		return badTime.about("start_time", "say which window, by a moment in it, as in start_time=2019-11-24T00:00:00Z")
	}
	at, err := parseTime("start_time", text, s.now())
	if err != nil {
		return err
	}
	l, start, ok, err := s.answers.Lineage(c.Context(), at)
	if err != nil {
		return err
	}
	if !ok {
		return noLineage.about("start_time", "nothing is stored of what the window that starts at %s is made of: it is not final yet, it has no click, "+
			"or what was stored of it has ended", Time(start).Format(time.RFC3339))
	}
	a := lineageOf(&l)
	return offer(w, c, a, a, askAgain)
}

func lineageOf(l *click.Lineage) Lineage {
	a := Lineage{
		StartTime: *Time(l.Start), ToTime: *Time(l.Start + l.Size), State: l.State.String(), Version: l.Version,
		Reducer: l.Reducer, Reducers: l.Reducers,
		Shards: make([]ShardPosition, len(l.Shards)), Sources: make([]Origin, len(l.Sources)), Holds: true,
	}
	for i, position := range l.Shards {
		a.Shards[i] = ShardPosition{Shard: int32(i), Position: position}
	}
	for i := range l.Sources {
		o := &l.Sources[i]
		a.Sources[i] = Origin{
			TopicID: hex.EncodeToString(o.Source.ID[:]), Heard: o.Heard, Settled: o.Settled,
			Accounting: accountingOf(o.Source, &o.Account, &o.Tally),
		}
		a.Holds = a.Holds && o.Holds()
	}
	return a
}
