package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/dimension"
	"github.com/clickagg/clickagg/internal/stream"
)

// whileRunning are the keys that a running process takes up.
var whileRunning = []string{"filters", "input.types"}

// reload reads the configuration anew at each signal, until ctx ends. Its filters are
// said if this process maps; all else stays as it was at the start.
func (p *process) reload(ctx context.Context, signals <-chan os.Signal, read func() (config.Config, error)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
		}
		now, err := read()
		if err != nil {
			p.logger.Error("the configuration is wrong and was not reloaded; what was set before goes on", zap.Error(err))
			continue
		}
		kept := slices.DeleteFunc(p.cfg.Differences(now), func(key string) bool { return slices.Contains(whileRunning, key) })
		if len(kept) > 0 {
			p.logger.Warn("the configuration was reloaded; these keys keep their values until the process is started anew", zap.Strings("keys", kept))
		} else {
			p.logger.Info("the configuration was reloaded")
		}
		if !p.has(roleMapper) {
			continue // filters are the mappers' to say
		}
		if err := p.sayFilters(ctx, now); err != nil && ctx.Err() == nil {
			p.logger.Error("the filters were not applied; reload again", zap.Error(err))
		}
	}
}

// sayFilters says the filters of a configuration to all mappers. One that does not
// speak of filters leaves them as they are.
func (p *process) sayFilters(ctx context.Context, cfg config.Config) error {
	if cfg.Filters == nil {
		p.filters.Store(nil)
		return nil
	}
	set := filterSet(cfg)
	p.filters.Store(&set)
	c, err := dimension.Apply(ctx, p.log, p.topics.Control, set)
	if err != nil || !c.Changed {
		return err
	}
	d := c.Difference()
	p.logger.Info("filters applied", zap.Time("clicks_from", *api.Time(c.Now.From)), zap.Int("filters", len(c.Now.Filters)),
		zap.Strings("added", d.Added), zap.Strings("removed", d.Removed), zap.Strings("changed", d.Changed))
	return nil
}

// watchFilters says so when others than this process's filters hold.
func (p *process) watchFilters(ctx context.Context) error {
	return dimension.Follow(ctx, p.log, p.topics.Control, p.facts, stream.Wall{}, p.logger, func(_ context.Context, facts *control.Facts) error {
		now, _ := facts.Filters()
		mine := p.filters.Load()
		if mine == nil || mine.Fingerprint() == now.Fingerprint() {
			return nil
		}
		d := dimension.Differences(mine, &now.FilterSet)
		p.logger.Warn("other filters hold than this process is configured with: another mapper's, or those of 'clickagg filter apply'; "+
			"give all mappers the same filters and reload one of them (SIGHUP)",
			zap.Time("clicks_from", *api.Time(now.From)), zap.Time("said", time.UnixMilli(now.Since).UTC()),
			zap.String("only_there", strings.Join(d.Added, ", ")), zap.String("only_here", strings.Join(d.Removed, ", ")), zap.String("differ", strings.Join(d.Changed, ", ")))
		return nil
	})
}

// filterSet is the set of filters of a configuration.
func filterSet(cfg config.Config) control.FilterSet {
	types := map[string]string{}
	for field, t := range cfg.FieldTypes() {
		types[field] = t.String()
	}
	var list []control.Filter
	for _, f := range cfg.Filters {
		list = append(list, control.Filter(f))
	}
	return control.NewFilterSet(list, types)
}
