package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/gen"
	"github.com/clickagg/clickagg/internal/stream"
)

// awaitFinal returns when every partition of the results topic holds a mark of
// every reducer that says that all is final.
func (c *cluster) awaitFinal(ctx context.Context) error {
	return c.eachPartition(ctx, func(ctx context.Context, partition int32) error {
		until, final := c.o.Input.Until, map[string]bool{}
		return c.read(ctx, partition, func(r *click.Record) (done bool, err error) {
			if r.Value != nil {
				return false, nil
			}
			who, reducers, watermark, err := parseMark(r)
			if err == nil && watermark >= until {
				final[who] = true
			}
			return len(final) == reducers && reducers > 0, err
		})
	})
}

// check reads all results and compares the newest of each with the truth.
func (c *cluster) check(ctx context.Context) error {
	t, err := c.log.Topic(ctx, c.topics.Results)
	if err != nil {
		return err
	}
	parts := make([]gen.Counts, t.Partitions)
	err = c.eachPartition(ctx, func(ctx context.Context, partition int32) (err error) {
		parts[partition], err = c.newest(ctx, partition)
		return err
	})
	if err != nil {
		return err
	}
	var got gen.Counts
	for i := range parts {
		for cell := range parts[i].All() {
			got.Add([]byte(cell.Ad), cell.Minute, cell.Count)
		}
	}
	if r := gen.Compare(&c.o.Input.Truth.Counts, &got); !r.Equal() {
		return errors.New("the results are not the truth: " + r.String())
	}
	return nil
}

// newest collects the newest count of each ad and window, which is a minute, as in
// the truth.
func (c *cluster) newest(ctx context.Context, partition int32) (counts gen.Counts, err error) {
	type key struct {
		ad    string
		start int64
	}
	type value struct{ count, version int64 }
	_, end, err := c.log.Bounds(ctx, c.topics.Results, partition)
	if err != nil || end == 0 {
		return counts, err
	}
	rows := map[key]value{}
	err = c.read(ctx, partition, func(r *click.Record) (bool, error) {
		if r.Value == nil {
			return r.Offset+1 >= end, nil
		}
		row, err := click.ParseResult(r.Value)
		if err != nil {
			return false, err
		}
		k := key{string(row.Ad), row.Start}
		if row.Version >= rows[k].version {
			rows[k] = value{row.Count, row.Version}
		}
		return r.Offset+1 >= end, nil
	})
	for k, v := range rows {
		counts.Add([]byte(k.ad), k.start, v.count)
	}
	return counts, err
}

// eachPartition does something with all partitions of the results topic at once.
func (c *cluster) eachPartition(ctx context.Context, f func(context.Context, int32) error) error {
	t, err := c.log.Topic(ctx, c.topics.Results)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for p := range t.Partitions {
		g.Go(func() error { return f(ctx, p) })
	}
	return g.Wait()
}

// read hands out a partition of the results topic from its beginning until it was enough.
func (c *cluster) read(ctx context.Context, partition int32, f func(*click.Record) (done bool, err error)) error {
	in, err := c.log.Open(ctx, c.topics.Results, partition, stream.At(0))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	for {
		b, err := in.Read(ctx, time.Second)
		if err != nil {
			return fmt.Errorf("results: %w", err)
		}
		for i := range b.Records {
			if done, err := f(&b.Records[i]); err != nil || done {
				return err
			}
		}
	}
}

// parseMark reads which reducer says up to when all is final.
func parseMark(r *click.Record) (who string, reducers int, watermark int64, err error) {
	at, ok := r.Headers.Get(click.HeaderWatermark)
	name, named := r.Headers.Get(click.HeaderReducer)
	_, of, _ := strings.Cut(string(name), "/")
	if !ok || !named {
		return "", 0, 0, fmt.Errorf("results: offset %d is neither a result nor a mark", r.Offset)
	}
	if watermark, err = strconv.ParseInt(string(at), 10, 64); err == nil {
		reducers, err = strconv.Atoi(of)
	}
	return string(name), reducers, watermark, err
}
