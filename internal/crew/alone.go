package crew

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/stream"
)

// lookEvery is how often the list of partitions is asked for.
const lookEvery = 3 * time.Second

// Alone is the group of a process that shares with nobody: all that is listed is
// its own. A list that cannot be had is asked for again; the one before stays.
type Alone struct{ Logger *zap.Logger }

var _ stream.Groups = Alone{}

// Join implements [stream.Groups].
func (a Alone) Join(ctx context.Context, m stream.Membership) error {
	var owned []stream.Partition
	told := false // that it is nothing, say
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		listed, err := m.Partitions(ctx)
		if err != nil && ctx.Err() == nil {
			a.Logger.Warn("the partitions cannot be listed; trying again", zap.String("group", m.Group), zap.Error(err))
		}
		if err == nil {
			listed = slices.Clone(listed)
			slices.SortFunc(listed, func(p, q stream.Partition) int {
				return cmp.Or(cmp.Compare(p.Topic, q.Topic), cmp.Compare(p.Number, q.Number))
			})
			listed = slices.Compact(listed)
			if !told || !slices.Equal(listed, owned) {
				owned, told = listed, true
				m.Own(owned)
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
	}
}
