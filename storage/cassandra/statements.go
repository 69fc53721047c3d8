package cassandra

import (
	"github.com/gocql/gocql"

	"github.com/clickagg/clickagg/internal/calendar"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

// What the store writes. Every one of them ends with its timestamp; see upsert.
const (
	putCount = `INSERT INTO counts (ad, filter, day, start, count, digest, revision, state, version)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`
	putWindow = `INSERT INTO windows (filter, start, bucket, ad, count, digest, revision, state, version)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`
	putStart   = `INSERT INTO starts (filter, day, start) VALUES (?, ?, ?) USING TIMESTAMP ?`
	putDay     = `INSERT INTO days (filter, day) VALUES (?, ?) USING TIMESTAMP ?`
	putRanking = `INSERT INTO rankings (filter, hour, start, size, revision, state, version, clicks, ads, top, head)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`
	putList = `INSERT INTO lists (filter, hour, start, size, revision, state, version, clicks, ads, top)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`
	putRollup  = `INSERT INTO rollups (series, start, size, version) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`
	putTouch   = `INSERT INTO touches (topic, hour, partition, number) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`
	putLineage = `INSERT INTO lineage (hour, start, version, lineage) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`
	putMark    = `INSERT INTO marks (topic, partitions, reducers, partition, reducer, watermark, closed)
		VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`
	putHold = `INSERT INTO marks (topic, partitions, reducers, partition, reducer, hold, hold_from, hold_to, hold_done)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`
)

// What the store reads.
const (
	getCounts = `SELECT start, count, digest, revision, state, version FROM counts
		WHERE ad = ? AND filter = ? AND day = ? AND start >= ? AND start < ?`
	getCopies = `SELECT ad, filter, start, count, digest, revision, state, version FROM counts
		WHERE token(ad, filter, day) >= ? AND token(ad, filter, day) <= ? AND start >= ? AND start < ? ALLOW FILTERING`
	getWindow = `SELECT ad, count, digest, revision, state, version FROM windows WHERE filter = ? AND start = ? AND bucket = ?`
	getAds    = `SELECT ad, count FROM windows WHERE filter = ? AND start = ? AND bucket = ? AND ad >= ?`
	getStarts = `SELECT start FROM starts WHERE filter = ? AND day = ? AND start >= ? AND start < ?`
	getDays   = `SELECT day FROM days WHERE filter = ? AND day >= ? AND day <= ?`
	getHeads  = `SELECT start, size, revision, state, version, clicks, ads, head, writetime(version), writetime(head) FROM rankings
		WHERE filter = ? AND hour = ? AND start >= ? AND start < ?`
	getTops = `SELECT start, size, revision, state, version, clicks, ads, top, writetime(version), writetime(top) FROM rankings
		WHERE filter = ? AND hour = ? AND start >= ? AND start < ?`
	getLists = `SELECT start, size, revision, state, version, clicks, ads, top, writetime(version), writetime(top) FROM lists
		WHERE filter = ? AND hour = ? AND start >= ? AND start < ?`
	getRollups = `SELECT start, size, version FROM rollups WHERE series = ? AND start >= ? AND start < ?`
	getTouches = `SELECT hour, partition, number FROM touches WHERE topic = ? AND hour >= ? AND hour < ?`
	getCounted = `SELECT DISTINCT filter FROM days`
	getLineage = `SELECT lineage FROM lineage WHERE hour = ? AND start = ?`
	getMarks   = `SELECT partition, partitions, reducer, reducers, watermark, closed, hold, hold_from, hold_to, hold_done FROM marks WHERE topic = ?`
)

// marksOf is the topic whose marks, and touches by whose records, are kept.
const marksOf = "results"

// upsert is one row to write. There is no other way to write rows, so that each
// has a timestamp that rises with its version.
type upsert struct {
	statement string
	args      []any
}

func put(when writeTime, statement string, args ...any) upsert {
	return upsert{statement, append(args, int64(when))}
}

func countRow(r *click.Result, when writeTime) upsert {
	return put(when, putCount, r.Ad, r.Filter, calendar.Floor(r.Start, lengthsOf(r.Filter).counts), r.Start, r.Count, int64(r.Digest), r.Revision, int8(r.State), r.Version)
}

func windowRow(r *click.Result, when writeTime) upsert {
	return put(when, putWindow, r.Filter, r.Start, bucket(r.Ad), r.Ad, r.Count, int64(r.Digest), r.Revision, int8(r.State), r.Version)
}

// rankingRows are the row with a list's head, and the one with all of it if that is more. The head's row has an empty
// list, so that one of an earlier release is never beside a head that is newer.
func rankingRows(r *click.Ranking, when writeTime) []upsert {
	row := func(statement string, lists ...any) upsert {
		args := []any{r.Filter, calendar.Floor(r.Start, lengthsOf(r.Filter).lists), r.Start, r.Size, r.Revision, int8(r.State), r.Version, r.Clicks, r.Ads}
		return put(when, statement, append(args, lists...)...)
	}
	rows := []upsert{row(putRanking, top{}, top(r.Top[:min(headOf, len(r.Top))]))}
	if len(r.Top) > headOf {
		rows = append(rows, row(putList, top(r.Top)))
	}
	return rows
}

func lineageRow(l *click.Lineage, when writeTime) upsert {
	return put(when, putLineage, calendar.Floor(l.Start, hour), l.Start, l.Version, l.AppendJSON(nil))
}

func markRow(m *storage.Mark) upsert {
	closed := any(gocql.UnsetValue)
	if m.Closed != click.None {
		closed = m.Closed
	}
	return put(reached(m.Watermark), putMark, marksOf, m.Partitions, m.Reducers, m.Partition, m.Reducer, m.Watermark, closed)
}

// holdRow has cells of its own in the row of a mark, with a timestamp of their own.
func holdRow(m *storage.Mark) upsert {
	h := m.Hold
	when := 2 * h.Number
	if h.Done {
		when++
	}
	return put(writeTime(when), putHold, marksOf, m.Partitions, m.Reducers, m.Partition, m.Reducer, h.Number, h.From, h.To, h.Done)
}

func rollupRow(r *click.Ranking, when writeTime) upsert {
	return put(when, putRollup, r.Filter, r.Start, r.Size, r.Version)
}

func touchRow(t storage.Touch) upsert {
	return put(writeTime(t.Number()), putTouch, marksOf, t.Hour, t.Partition, t.Number())
}
