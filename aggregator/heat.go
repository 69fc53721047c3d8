package aggregator

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/aggregator/window"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
)

// Hot says when an ad is spread over several shards. It decides when, and never what
// is counted: processes may differ in it.
type Hot struct {
	Threshold int64        // clicks of one ad in one window; 0 spreads none
	Shards    int32        // over how many, at least 1
	Router    click.Router // knows each ad's home
}

const (
	mostHot     = 64              // ads spread by shards at once, over the installation
	coolWindows = 5               // as many without one half as hot end a spread
	oldWindows  = 60              // a window so far behind what is open decides nothing,
	oldTime     = time.Hour       // nor does one that is so far behind when windows are short
	heatEvery   = 5 * time.Second // how often a shard looks what others and operators said
	heatWait    = 5 * time.Second // how long that may hold up counting
)

// heat watches the ads whose home one shard is.
type heat struct {
	a      *Aggregator
	shard  int32
	logger *zap.Logger
	facts  *control.Facts // as last read
	spans  click.Spans    // all there ever were
	looked time.Time
	rising map[string]int64 // ads over the threshold: the start of the window
	warm   map[string]int64 // of ads that are spread: the end of the last window at least half as hot
	spread int64            // spreads begun by this process
	merged int64            // and ended
}

func (a *Aggregator) heat(shard int32) *heat {
	return &heat{
		a: a, shard: shard, logger: a.logger.With(zap.Int32("shard", shard)), rising: map[string]int64{}, warm: map[string]int64{},
	}
}

// note takes in the heavy ads of what the shard just said.
func (h *heat) note(heavy []window.Heavy) {
	cfg := &h.a.cfg.Hot
	for i := range heavy {
		e := &heavy[i]
		if cfg.Threshold == 0 || cfg.Router.Home(e.Ad) != h.shard {
			continue
		}
		if !e.Share {
			if e.Count >= cfg.Threshold && !h.known(string(e.Ad)) {
				h.rising[string(e.Ad)] = max(h.rising[string(e.Ad)], e.Start)
			}
			continue
		}
		over := int64(h.a.cfg.Window.Shards)
		if s := h.spans.Find(e.Ad, e.Start); s != nil {
			over = int64(s.Shards)
		}
		if 2*over*e.Count >= cfg.Threshold {
			h.warm[string(e.Ad)] = max(h.warm[string(e.Ad)], e.Start+h.a.cfg.Window.Size)
		}
	}
}

// known tells whether nothing is to be decided of an ad that is hot.
func (h *heat) known(ad string) bool {
	if h.facts == nil {
		return false
	}
	s, ok := h.facts.Hot(ad)
	return ok && (s.Shards > 1 || s.Pinned)
}

// decide writes the facts that are due. Failing to is no harm: it is tried again.
func (h *heat) decide(ctx context.Context, watermark int64) {
	now := h.a.clock.Now()
	if len(h.rising) == 0 && now.Sub(h.looked) < heatEvery {
		return
	}
	h.looked = now
	ctx, cancel := context.WithTimeout(ctx, heatWait)
	defer cancel()
	if err := h.look(ctx); err != nil {
		h.failed(ctx, err)
		return
	}
	before := h.spread + h.merged
	h.heatUp(ctx)
	h.coolDown(ctx, watermark)
	if h.spread+h.merged > before { // what holds now is in the topic
		if err := h.look(ctx); err != nil {
			h.failed(ctx, err)
		}
	}
}

func (h *heat) failed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		h.logger.Warn("whether an ad is spread could not be decided; tried again", zap.Error(err))
	}
}

// look reads what is new in the control topic.
func (h *heat) look(ctx context.Context) error {
	var f control.Facts
	var err error
	if h.facts == nil {
		f, err = control.Load(ctx, h.a.log, h.a.cfg.Topics.Control)
	} else {
		f, err = control.Refresh(ctx, h.a.log, h.a.cfg.Topics.Control, *h.facts)
	}
	if err != nil {
		return err
	}
	h.facts, h.spans = &f, f.Spans(click.None)
	return nil
}

// heatUp spreads the ads that have become hot.
func (h *heat) heatUp(ctx context.Context) {
	cfg := &h.a.cfg.Hot
	hot := 0
	for _, s := range h.facts.Spreads() {
		if s.Shards > 1 && !s.Operator {
			hot++
		}
	}
	for _, ad := range slices.Sorted(maps.Keys(h.rising)) {
		start := h.rising[ad]
		if cfg.Shards > 1 && hot < mostHot && !h.known(ad) && h.facts.Opened()-start <= max(oldWindows*h.a.cfg.Window.Size, oldTime.Milliseconds()) {
			if err := h.say(ctx, ad, cfg.Shards); err != nil {
				h.failed(ctx, err)
				return
			}
			h.spread++
			hot++
		}
		delete(h.rising, ad)
	}
}

// coolDown ends the spreads of ads that are hot no longer.
func (h *heat) coolDown(ctx context.Context, watermark int64) {
	spread := map[string]bool{}
	for _, s := range h.facts.Spreads() {
		if s.Shards == 1 || s.Pinned || h.a.cfg.Hot.Router.Home([]byte(s.Ad)) != h.shard || watermark == click.None {
			continue
		}
		spread[s.Ad] = true
		if _, ok := h.warm[s.Ad]; !ok { // what was before this process looked, it does not know
			h.warm[s.Ad] = watermark
		}
		h.warm[s.Ad] = max(h.warm[s.Ad], s.From)
		if watermark-h.warm[s.Ad] < coolWindows*h.a.cfg.Window.Size {
			continue
		}
		if err := h.say(ctx, s.Ad, 1); err != nil {
			h.failed(ctx, err)
			return
		}
		h.merged++
		delete(spread, s.Ad)
	}
	maps.DeleteFunc(h.warm, func(ad string, _ int64) bool { return !spread[ad] })
}

func (h *heat) say(ctx context.Context, ad string, shards int32) error {
	if err := control.NoteHot(ctx, h.a.log, h.a.cfg.Topics.Control, ad, control.Hot{Shards: shards}); err != nil {
		return err
	}
	h.logger.Info("an ad's clicks will go to another number of shards", zap.String("ad", ad), zap.Int32("shards", shards),
		zap.Int64("opened", h.facts.Opened()))
	return nil
}
