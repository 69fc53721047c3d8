package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
)

const (
	groupType     = "consumer" // so that Kafka's tools read what the members write
	groupProtocol = "clickagg-sticky-1"
	noGeneration  = -1
)

// rebalance is how long the coordinator waits for members to join a generation.
func (m *member) rebalance() time.Duration { return 2 * m.session }

// ask sends a request to the group's coordinator. parse reads the answer and returns
// its error code.
func (m *member) ask(ctx context.Context, within time.Duration, api protocol.ApiKey, request []byte, parse func(*decoding) int16) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	node, err := m.find(ctx)
	if err != nil {
		return err
	}
	r, err := m.log.transport.RoundTrip(ctx, m.log.addr, &routed{exchange{
		api: api, request: request, maxSize: smallAnswer, leader: brokerOf(node),
	}})
	if err == nil {
		d := decoding{b: r.(*exchange).answer}
		code := parse(&d)
		err = errors.Join(d.err(), asError(code))
	}
	if moved(err) {
		m.coordinator.CompareAndSwap(node, -1)
	}
	return err
}

// moved tells whether another broker may be the coordinator by now.
func moved(err error) bool {
	_, answered := errors.AsType[kafkago.Error](err)
	return err != nil && !answered || errors.Is(err, kafkago.NotCoordinatorForGroup) ||
		errors.Is(err, kafkago.GroupCoordinatorNotAvailable) || errors.Is(err, kafkago.BrokerNotAvailable)
}

// find returns the node id of the group's coordinator.
func (m *member) find(ctx context.Context) (int32, error) {
	if node := m.coordinator.Load(); node >= 0 {
		return node, nil
	}
	a, err := m.log.transport.RoundTrip(ctx, m.log.addr, &findcoordinator.Request{Key: m.of.Group})
	if err != nil {
		return -1, fmt.Errorf("find the coordinator: %w", err)
	}
	r := a.(*findcoordinator.Response)
	if err := asError(r.ErrorCode); err != nil {
		return -1, fmt.Errorf("find the coordinator: %w", err)
	}
	m.coordinator.Store(r.NodeID)
	return r.NodeID, nil
}

// brokerOf routes to a broker by its node id.
func brokerOf(node int32) func(protocol.Cluster) (protocol.Broker, error) {
	return func(c protocol.Cluster) (protocol.Broker, error) {
		if b, ok := c.Brokers[node]; ok {
			return b, nil
		}
		return protocol.Broker{ID: -1}, kafkago.BrokerNotAvailable
	}
}

// answerToJoin is a place in the next generation.
type answerToJoin struct {
	generation int32
	leader     string // a member's id
	keep       bool   // the generation that is stays, and what it was given
	id         string // this member's
	members    []claimant
}

// claimant is a member as the leader sees it.
type claimant struct {
	id      string
	process string
	claim   []byte
}

// sendJoin asks for a place. The coordinator answers when all members have asked, or
// some have had their time.
func (m *member) sendJoin(ctx context.Context, id string, claim []byte) (a answerToJoin, err error) {
	e := begin(nil, protocol.JoinGroup, 9, m.log.cfg.ClientID, true)
	e.compact(m.of.Group)
	e.i32(int32(m.session.Milliseconds()))
	e.i32(int32(m.rebalance().Milliseconds()))
	e.compact(id)
	e.compact(m.of.Process)
	e.compact(groupType)
	e.size(1)
	e.compact(groupProtocol)
	e.size(len(claim))
	e.raw(claim)
	e.tags()
	e.compact("") // no reason
	e.tags()
	err = m.ask(ctx, m.rebalance()+joinSpare, protocol.JoinGroup, e.end(), a.parse)
	return a, err
}

// parse reads an answer and returns its error code.
func (a *answerToJoin) parse(d *decoding) int16 {
	d.tags()
	d.i32() // throttle
	code := d.i16()
	a.generation = d.i32()
	d.compact() // protocol type
	d.compact() // protocol
	a.leader, a.keep, a.id = d.compact(), d.i8() != 0, d.compact()
	for n := d.size(); n > 0 && !d.bad; n-- {
		c := claimant{id: d.compact(), process: d.compact()}
		c.claim = d.take(d.size())
		d.tags()
		a.members = append(a.members, c)
	}
	return code
}

// sendSync asks for what this member is given, once the leader has said it for all.
func (m *member) sendSync(ctx context.Context, id string, generation int32, shares []share) (given []byte, err error) {
	e := m.as(protocol.SyncGroup, id, generation)
	e.i32(int32(len(shares)))
	for _, s := range shares {
		e.str(s.id)
		e.i32(int32(len(s.given)))
		e.raw(s.given)
	}
	err = m.ask(ctx, m.rebalance()+joinSpare, protocol.SyncGroup, e.end(), func(d *decoding) int16 {
		d.i32() // throttle
		code := d.i16()
		given = d.take(d.count())
		return code
	})
	return given, err
}

// heartbeat keeps the session going.
func (m *member) heartbeat(ctx context.Context, within time.Duration) error {
	e := m.as(protocol.Heartbeat, m.id, m.generation)
	return m.ask(ctx, within, protocol.Heartbeat, e.end(), func(d *decoding) int16 {
		d.i32() // throttle
		return d.i16()
	})
}

// as begins a request of this member's.
func (m *member) as(api protocol.ApiKey, id string, generation int32) encoding {
	e := begin(nil, api, 3, m.log.cfg.ClientID, false)
	e.str(m.of.Group)
	e.i32(generation)
	e.str(id)
	e.str(m.of.Process)
	return e
}

// sendLeave ends the session.
func (m *member) sendLeave(ctx context.Context) error {
	e := begin(nil, protocol.LeaveGroup, 3, m.log.cfg.ClientID, false)
	e.str(m.of.Group)
	e.i32(1)
	e.str(m.id)
	e.str(m.of.Process)
	return m.ask(ctx, m.session/2, protocol.LeaveGroup, e.end(), func(d *decoding) int16 {
		d.i32() // throttle
		code := d.i16()
		for range d.count() {
			d.str() // id
			d.str() // process
			if c := d.i16(); code == 0 {
				code = c
			}
		}
		return code
	})
}
