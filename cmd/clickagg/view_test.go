package main

import (
	"testing"

	"github.com/clickagg/clickagg/aggregator"
	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
)

// Shards that got further than the mapper had when it was asked are no fault in
// the accounts.
func TestShardsAheadOfTheMapper(t *testing.T) {
	t.Parallel()
	source := click.Source{Topic: "clicks"}
	shard := func(received, counted int64) *aggregator.View {
		return &aggregator.View{Status: window.Status{Sources: []click.Progress{{
			Source: source, Account: click.Account{Received: received, Routed: received}, Tally: click.Tally{Counted: counted},
		}}}}
	}
	for name, c := range map[string]struct {
		mapped  int64
		shards  []*aggregator.View
		pending int64
	}{
		"none was heard":   {10, nil, 10},
		"shards behind":    {10, []*aggregator.View{shard(8, 5), shard(8, 3)}, 2},
		"one shard ahead":  {10, []*aggregator.View{shard(30, 20), shard(8, 3)}, 7},
		"all shards ahead": {10, []*aggregator.View{shard(30, 20), shard(30, 10)}, 0},
	} {
		accounts := map[click.Source]click.Account{source: {Received: c.mapped, Routed: c.mapped}}
		tallies := tallied(accounts, c.shards)
		a := accounts[source]
		if row := api.NewAccounting(source, &a, tallies[source]); !row.Holds || row.Pending != c.pending {
			t.Errorf("%s: %+v, want %d pending", name, row, c.pending)
		}
	}
}
