package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/clickagg/clickagg/internal/click"
)

// answers are where a contestant says what it counted, and in which words.
type answers struct {
	results, tops string // topics
	result, top   func(c *checker, r *click.Record)
	tolerant      bool // it delivers at least once, with versions
}

// answersOfOurs are clickagg's own topics.
func answersOfOurs(prefix string) answers {
	topics := click.TopicsOf(prefix)
	return answers{results: topics.Results, tops: topics.Rankings, result: ourResult, top: ourRanking, tolerant: true}
}

func ourResult(c *checker, r *click.Record) {
	if r.Value == nil {
		return // a watermark
	}
	result, err := click.ParseResult(r.Value)
	switch {
	case err != nil:
		c.broken(err)
	case result.State == click.Provisional:
		c.provisional(result.Ad, result.Start)
	case result.State == click.Corrected:
		c.fault("%s in the window of %d was corrected, and nothing came late", result.Ad, result.Start)
	default:
		c.count(result.Ad, result.Start, result.Count)
	}
}

// notFinal is looked for before a list is read, of which there are many.
var notFinal = []byte(`"state":"provisional"`)

func ourRanking(c *checker, r *click.Record) {
	if _, lineage := r.Headers.Get(click.HeaderLineage); lineage || r.Value == nil || bytes.Contains(r.Value, notFinal) {
		return
	}
	ranking, err := click.ParseRanking(r.Value)
	if err != nil {
		c.broken(err)
		return
	}
	list := make([]place, len(ranking.Top))
	for i, row := range ranking.Top {
		list[i] = place{parseAd(row.Ad), row.Count}
	}
	c.ranked(ranking.Start, list)
}

// answersOfTheirs are what the jobs in jobs/ write: final answers only, once.
func answersOfTheirs(prefix string) answers {
	return answers{results: prefix + "results", tops: prefix + "top", result: theirResult, top: theirTop}
}

// theirResult reads {"ad_id":"ad000001","minute":1764000000000,"count":17}.
func theirResult(c *checker, r *click.Record) {
	ad, rest, ok := between(r.Value, `{"ad_id":"`, `","minute":`)
	minute, rest, ok2 := between(rest, "", `,"count":`)
	count, _, ok3 := between(rest, "", `}`)
	start, ok4 := number(minute)
	n, ok5 := number(count)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 {
		c.broken(fmt.Errorf("%q is not a result", r.Value))
		return
	}
	c.count(ad, start, n)
}

// between is what stands in b after before and up to after, and what follows.
func between(b []byte, before, after string) (what, rest []byte, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(before))
	if !ok {
		return nil, nil, false
	}
	return bytes.Cut(b, []byte(after))
}

func number(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || len(b) > 18 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}

func theirTop(c *checker, r *click.Record) {
	var said struct {
		Minute int64 `json:"minute"`
		Top    []struct {
			Ad    string `json:"ad_id"`
			Count int64  `json:"count"`
		} `json:"top"`
	}
	if err := json.Unmarshal(r.Value, &said); err != nil {
		c.broken(fmt.Errorf("ranked list: %w", err))
		return
	}
	list := make([]place, len(said.Top))
	for i, row := range said.Top {
		list[i] = place{parseAd([]byte(row.Ad)), row.Count}
	}
	c.ranked(said.Minute, list)
}
