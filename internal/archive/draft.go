package archive

import (
	"encoding/hex"

	"github.com/clickagg/clickagg/internal/click"
)

// draft is a slice that is being gathered. Where it ends depends on its records only.
type draft struct {
	table    *table
	most     bounds
	manifest Manifest
	source   click.Source
	from     int64 // offset the next slice begins at
	last     int64 // of what was added
	hour     int64 // of the slice's first record
	opened   int64 // append time of that one
	bytes    int

	records []click.Record // of the run
	arena   arena
}

func (d *draft) reset(s click.Source, from int64) {
	d.source, d.from = s, from
	d.manifest.Version = 0
}

// open tells whether a slice has been begun.
func (d *draft) open() bool { return d.manifest.Version != 0 }

// begin opens a slice with its first record. seen tells that no record before it can have gone
// missing, follows that another slice is before it.
func (d *draft) begin(first *click.Record, seen, follows bool) {
	d.manifest = Manifest{
		Version: manifestVersion, Topic: d.source.Topic, TopicID: hex.EncodeToString(d.source.ID[:]), Partition: d.source.Partition,
		From: d.from, Received: Times{first.Append, first.Append},
	}
	switch {
	case !follows && d.from == 0: // the first of all
		d.manifest.From = first.Offset
	case !seen && first.Offset > d.from:
		d.manifest.From, d.manifest.Hole = first.Offset, first.Offset-d.from
	}
	d.from, d.hour, d.opened, d.bytes = d.manifest.From, hourOf(first.Append), first.Append, 0
	d.manifest.Clicked = &Times{First: 1<<63 - 1, Last: -1 << 63}
	d.table.begin(d.source)
	d.clear()
}

func (d *draft) clear() { d.records, d.arena = d.records[:0], d.arena[:0] }

// isFull tells whether a record belongs into the next slice. One of an earlier hour does not: the
// clocks of two brokers differ.
func (d *draft) isFull(r *click.Record) bool {
	return hourOf(r.Append) > d.hour || d.manifest.Records == d.most.sliceRecords || d.bytes+size(r) > d.most.sliceBytes
}

// add takes a record in, and tells whether it wrote a run.
func (d *draft) add(r *click.Record) (wrote bool, err error) {
	if len(d.records) == d.most.runRecords || len(d.records) > 0 && len(d.arena)+size(r) > d.most.runBytes {
		wrote = true
		if err := d.run(r.Offset); err != nil {
			return wrote, err
		}
	}
	own := click.Record{Offset: r.Offset, Append: r.Append, Headers: click.Headers{Count: r.Headers.Count}}
	own.Key, own.Value, own.Headers.Raw = d.arena.keep(r.Key), d.arena.keep(r.Value), d.arena.keep(r.Headers.Raw)
	d.records = append(d.records, own)
	d.bytes += size(r)
	d.manifest.Records++
	d.manifest.Received.add(r.Append)
	d.last = r.Offset
	return wrote, nil
}

// run writes what was gathered as a run, which stands for all offsets before the next one's.
func (d *draft) run(next int64) error {
	r, err := d.table.run(d.records, &d.manifest.Clicks, d.manifest.Clicked)
	if err != nil {
		return err
	}
	r.From, r.To = d.from, next
	if n := len(d.manifest.Runs); n > 0 {
		r.From = d.manifest.Runs[n-1].To
	}
	d.manifest.Runs = append(d.manifest.Runs, r)
	d.clear()
	return nil
}

// finish returns the slice's manifest but for what only the file's bytes tell, and those, which are valid until
// the next slice begins.
func (d *draft) finish() (*Manifest, []byte, error) {
	m := &d.manifest
	m.To = d.last + 1
	if err := d.run(m.To); err != nil {
		return nil, nil, err
	}
	file, footer, err := d.table.end()
	if err != nil {
		return nil, nil, err
	}
	m.Footer = footer
	if m.Clicks == 0 {
		m.Clicked = nil
	}
	done := *m
	done.File = done.Slice().fileName(d.opened)
	d.reset(d.source, m.To)
	return &done, file, nil
}
