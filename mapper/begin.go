package mapper

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper/rule"
)

// unknown is an edge that is not known yet.
const unknown = -1

// begin makes this process the source's owner: it finds where the one before was,
// says that there is a new one, first in the position and then to the shards, and
// only then goes on. Three things follow from that order.
//
// Shards pass over what earlier owners say once they have heard of this one, so when
// all have, nobody but this owner tells them anything new. Whatever earlier owners
// said was in the input by then: beyond its present end this owner is alone. That end
// is the edge: an owner that is past it, and all it sent acknowledged, can end in
// order, and only then may the next one judge by other rules.
func (s *source) begin(ctx context.Context) error {
	if err := s.m.noteRules(ctx); err != nil {
		return err
	}
	was, err := s.claim(ctx)
	if err != nil {
		return err
	}
	if err := s.m.openFirst(ctx); err != nil {
		return err
	}
	if err := s.m.noteBegun(ctx, s.name); err != nil {
		return err
	}
	facts, err := s.m.known(ctx)
	if err != nil {
		return err
	}
	cfg := s.m.cfg.Rule
	cfg.Trusted, cfg.Term = s.m.cfg.Trusted(s.name.Topic), s.own.term
	s.judge = rule.NewPartition(cfg, s.name, was.state)
	if err := s.route(facts); err != nil {
		return err
	}
	s.live = was.state.Live
	if was.ended {
		s.edge = was.state.Next
	}
	if err := s.send(ctx, was.state.Next, click.None); err != nil || was.ended {
		return err
	}
	_, edge, err := s.m.log.Bounds(ctx, s.name.Topic, s.name.Partition)
	if err != nil {
		return fmt.Errorf("bounds: %w", err)
	}
	s.edge = edge
	return nil
}

// claim makes this process's term the newest in the source's position and returns
// what the position was before. A commit of the owner before, on its way meanwhile, may
// come out on top: the term would be lost, and the owner after this one might take
// one that is no higher. So it looks again.
func (s *source) claim(ctx context.Context) (was position, err error) {
	for {
		if was, s.epoch, err = s.m.find(ctx, s.name); err != nil {
			return was, err
		}
		s.acked = was.state
		s.own = position{
			topic: s.name.ID, rules: s.m.rules,
			// The clock does no more than keep terms apart when the position was lost.
			term: max(was.term+1, s.m.clock.Now().UnixMilli()),
		}
		if err := s.commit(ctx, was.state); err != nil {
			return was, err
		}
		at, ok, err := s.m.log.Committed(ctx, s.m.cfg.Group, s.name.Topic, s.name.Partition)
		if err != nil || !ok {
			return was, err
		}
		if now, err := decodePosition(at.Metadata); err != nil || now.term == s.own.term {
			return was, err
		}
	}
}

// Check tells whether this mapper could go on where others have left the partitions.
// A process asks before it joins their group, so that one with other rules takes
// nothing from those at work. Errors are those of [Mapper.Source].
func (m *Mapper) Check(ctx context.Context, partitions []stream.Partition) error {
	for _, p := range partitions {
		t, err := m.log.Topic(ctx, p.Topic)
		if err != nil {
			return fmt.Errorf("mapper: %w", err)
		}
		name := click.Source{Topic: t.Name, ID: t.ID, Partition: p.Number}
		if _, _, err := m.find(ctx, name); err != nil {
			return fmt.Errorf("mapper: %s: %w", name, err)
		}
	}
	return nil
}

// find returns the position a source goes on from, and the epoch of what lies before
// it: the committed one, or the log's start of a source that never had an owner,
// which is as good as ended.
func (m *Mapper) find(ctx context.Context, name click.Source) (was position, epoch int32, err error) {
	// The position first: an owner that was replaced may still commit, and a
	// position newer than the bounds would look like a log that was cut.
	at, ok, err := m.log.Committed(ctx, m.cfg.Group, name.Topic, name.Partition)
	if err != nil {
		return was, 0, fmt.Errorf("committed position: %w", err)
	}
	start, end, err := m.log.Bounds(ctx, name.Topic, name.Partition)
	if err != nil {
		return was, 0, fmt.Errorf("bounds: %w", err)
	}
	if !ok {
		was, err = m.first(ctx, name, start)
		return was, stream.NoEpoch, err
	}
	if id, _, _ := strings.Cut(at.Metadata, "/"); id != hex.EncodeToString(name.ID[:]) {
		return was, 0, fmt.Errorf("%w: topic %s was deleted and made again since offset %d was counted, or the brokers are those of another installation: "+
			"what the old topic still held is gone; to count the new one start anew with another kafka.topic_prefix or data_dir",
			ErrLoss, name.Topic, at.Offset)
	}
	if was, err = decodePosition(at.Metadata); err != nil {
		return was, 0, fmt.Errorf("committed position %d: %w", at.Offset, err)
	}
	switch next := was.state.Next; {
	case next < start:
		return was, 0, fmt.Errorf("%w: offsets %d to %d of %s were deleted by retention before they were counted",
			ErrLoss, next, start-1, name)
	case next > end:
		return was, 0, fmt.Errorf("%w: %s ends at offset %d, but was counted up to %d: its tail was cut off",
			ErrLoss, name, end, next)
	case was.rules != m.rules && !was.ended:
		return was, 0, m.refuse(ctx, was.rules)
	}
	return was, at.Epoch, nil
}

// first is the position of a source that has none.
func (m *Mapper) first(ctx context.Context, name click.Source, start int64) (position, error) {
	facts, err := m.learn(ctx) // another process may have begun it since
	if err != nil {
		return position{}, err
	}
	begun := facts.HasBegun(name)
	if begun && start > 0 {
		return position{}, fmt.Errorf("%w: %s has no position in group %s, though it was mapped before, and its offsets below %d are not in the log any more: "+
			"the position was lost, because the group was deleted, or had no members for longer than the brokers' offsets.retention.minutes; "+
			"start anew with another kafka.topic_prefix",
			ErrLoss, name, m.cfg.Group, start)
	}
	return position{ended: !begun, state: rule.NewState(start)}, nil
}

// refuse says which rules are others than those of the last owner, and what to do.
func (m *Mapper) refuse(ctx context.Context, last string) error {
	facts, err := m.learn(ctx)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: its last owner judged by other rules, and has not ended in order or not caught up with those before it: %s; "+
		"what was sent and not committed would be judged again, and a click could be lost or counted twice: "+
		"start all mappers with the old values, let them catch up, stop all of them in order (SIGTERM), and then change the values",
		control.ErrRules, strings.Join(facts.Differences(last, m.cfg.Rules), ", "))
}

// noteRules states what the fingerprint that goes into positions stands for.
func (m *Mapper) noteRules(ctx context.Context) error {
	facts, err := m.known(ctx)
	if err != nil || facts.Rules[m.rules] != nil {
		return err
	}
	if err := control.NoteRules(ctx, m.log, m.cfg.Topics.Control, m.cfg.Rules); err != nil {
		return err
	}
	_, err = m.learn(ctx) // so that the next source need not note them again
	return err
}

// noteBegun states that a source has a position from now on, and is no longer retired if it was.
func (m *Mapper) noteBegun(ctx context.Context, name click.Source) error {
	facts, err := m.learn(ctx) // somebody may have retired it since
	if err != nil || facts.IsMapped(name) {
		return err
	}
	return control.NoteBegun(ctx, m.log, m.cfg.Topics.Control, name)
}
