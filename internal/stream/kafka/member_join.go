package kafka

import (
	"context"
	"errors"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/assign"
	"github.com/clickagg/clickagg/internal/stream"
)

// joined is the result of joining a group's next generation.
type joined struct {
	id         string // also when err is set
	generation int32
	owned      []stream.Partition
	leader     bool
	from       []assign.Partition // what this member, as the leader, has shared out
	sent       time.Time          // when the last request was
	err        error
}

// rejoin begins to join the next generation, beside the heartbeats and all work.
func (m *member) rejoin(ctx context.Context) {
	if m.giveUp != nil {
		m.giveUp()
	}
	claim := assign.Claim{Generation: m.generation}
	for _, p := range m.owned {
		claim.Owned = append(claim.Owned, assign.Partition(p))
	}
	for _, p := range *m.listed.Load() {
		claim.Topics = append(claim.Topics, p.Topic)
	}
	claim.Topics = slices.Compact(claim.Topics)
	id, result := m.id, make(chan joined, 1)
	ctx, m.giveUp = context.WithCancel(ctx)
	m.joining = result
	m.work.Go(func() { result <- m.join(ctx, id, &claim) })
}

// joined takes the place that a join has brought.
func (m *member) joined(ctx context.Context, j joined) error {
	m.giveUp()
	m.joining, m.giveUp = nil, nil
	m.id = j.id
	if m.overdue(ctx) {
		return nil
	}
	if j.err != nil {
		return m.fault(ctx, j.err)
	}
	m.leader, m.from = j.leader, j.from
	m.aliveAt(j.sent)
	m.sit(j.owned, j.generation)
	m.compare(ctx)
	return nil
}

// join joins and tries again until it has a place, or there will be none.
func (m *member) join(ctx context.Context, id string, claim *assign.Claim) joined {
	j := joined{id: id}
	var b backoff
	for {
		j.err = m.tryJoin(ctx, &j, claim)
		switch {
		case j.err == nil, ctx.Err() != nil:
			return j
		case errors.Is(j.err, kafkago.MemberIDRequired):
			continue // it was given one
		case errors.Is(j.err, kafkago.RebalanceInProgress), errors.Is(j.err, kafkago.IllegalGeneration):
			// Yet another generation: the others wait for this member.
		case transient(j.err):
			m.log.complain(b.attempt, "join group "+m.of.Group, j.err)
		default:
			return j
		}
		if !b.wait(ctx) {
			return j
		}
	}
}

// tryJoin asks for a place in the next generation and for what comes with it. The
// member that the coordinator made the leader decides what each of them is given.
func (m *member) tryJoin(ctx context.Context, j *joined, claim *assign.Claim) error {
	a, err := m.sendJoin(ctx, j.id, claim.Append(nil))
	if a.id != "" {
		j.id = a.id
	}
	if err != nil {
		return err
	}
	var shares []share
	j.leader, j.from = a.leader == a.id, nil
	if j.leader && !a.keep {
		shares, j.from = m.shareOut(a.members)
	}
	sent := time.Now()
	given, err := m.sendSync(ctx, a.id, a.generation, shares)
	if err != nil {
		return err
	}
	var owned []assign.Partition
	if len(given) > 0 { // nothing at all is sent to whom the leader did not see
		if owned, err = assign.DecodeShare(given); err != nil {
			return err
		}
	}
	j.generation, j.sent, j.owned = a.generation, sent, nil
	for _, p := range owned {
		j.owned = append(j.owned, stream.Partition(p))
	}
	return nil
}

// share is what the leader gives a member.
type share struct {
	id    string
	given []byte
}

// shareOut decides what each member is given, and says of which list.
func (m *member) shareOut(members []claimant) (shares []share, listed []assign.Partition) {
	claims := make([]assign.Claim, len(members))
	for i, c := range members {
		claim, err := assign.DecodeClaim(c.claim)
		if err != nil { // of a version to come, say: it is given its part, but keeps none
			m.logger.Warn("a member's claim cannot be read", zap.String("member", c.id), zap.Error(err))
		}
		claim.Member = c.process
		claims[i] = claim
	}
	listed = *m.listed.Load()
	for i, given := range assign.Share(claims, listed) {
		shares = append(shares, share{members[i].id, assign.AppendShare(nil, given)})
	}
	m.logger.Info("partitions are shared out", zap.Int("members", len(members)), zap.Int("partitions", len(listed)))
	return shares, listed
}
