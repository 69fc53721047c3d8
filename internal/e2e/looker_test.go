package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// looker is another client of a cluster, which owes nothing to clickagg's own.
type looker struct {
	*kgo.Client
	t     *testing.T
	addrs []string
}

func look(t *testing.T, addrs []string, options ...kgo.Opt) *looker {
	t.Helper()
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &looker{Client: c, t: t, addrs: addrs}
}

var topicsMade atomic.Int64

// newTopic makes a topic that no other test uses, and returns its name.
func (o *looker) newTopic(partitions int32, configs map[string]string) string {
	o.t.Helper()
	name := fmt.Sprintf("e2e-%d", topicsMade.Add(1))
	o.create(name, partitions, configs)
	return name
}

// create makes a topic with the broker's append time.
func (o *looker) create(name string, partitions int32, configs map[string]string) {
	o.t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, -1
	set := func(k, v string) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, &v
		topic.Configs = append(topic.Configs, c)
	}
	set("message.timestamp.type", "LogAppendTime")
	for k, v := range configs {
		set(k, v)
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, topic)
	o.settle("create "+name, func(ctx context.Context) error {
		r, err := request.RequestWith(ctx, o.Client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(r.Topics[0].ErrorCode)
	})
	o.known(name)
}

// known waits until every broker knows a topic and each of its partitions' leaders.
func (o *looker) known(name string) {
	o.t.Helper()
	request := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	request.Topics = append(request.Topics, topic)
	for _, broker := range o.SeedBrokers() {
		o.settle("metadata of "+name, func(ctx context.Context) error {
			r, err := broker.Request(ctx, request)
			if err != nil {
				return err
			}
			of := r.(*kmsg.MetadataResponse).Topics[0]
			err = kerr.ErrorForCode(of.ErrorCode)
			for _, p := range of.Partitions {
				err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
			}
			return err
		})
	}
}

// remove deletes a topic.
func (o *looker) remove(name string) {
	o.t.Helper()
	request := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	request.Topics, request.TopicNames = append(request.Topics, topic), []string{name}
	o.settle("delete "+name, func(ctx context.Context) error {
		r, err := request.RequestWith(ctx, o.Client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(r.Topics[0].ErrorCode)
	})
}

// settle tries until f succeeds: a cluster takes a moment to agree.
func (o *looker) settle(what string, f func(context.Context) error) {
	o.t.Helper()
	ctx, tick := limited(o.t), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			o.t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// put appends records of one batch and returns the offset of the first.
func (o *looker) put(topic string, values ...string) int64 {
	o.t.Helper()
	var rs []*kgo.Record
	for _, v := range values {
		rs = append(rs, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(v)})
	}
	o.produce(rs...)
	return rs[0].Offset
}

// produce appends records, and sets their offsets.
func (o *looker) produce(records ...*kgo.Record) {
	o.t.Helper()
	if err := o.ProduceSync(limited(o.t), records...).FirstErr(); err != nil {
		o.t.Fatalf("produce: %v", err)
	}
}

// transaction puts values in a transaction of its own and leaves it open. It
// returns the first one's offset.
func (o *looker) transaction(topic, id string, values ...string) (first int64, end func(kgo.TransactionEndTry)) {
	o.t.Helper()
	p := look(o.t, o.addrs, kgo.TransactionalID(topic+id))
	if err := p.BeginTransaction(); err != nil {
		o.t.Fatal(err)
	}
	first = p.put(topic, values...)
	return first, func(how kgo.TransactionEndTry) {
		o.t.Helper()
		if err := p.EndTransaction(limited(o.t), how); err != nil {
			o.t.Fatal(err)
		}
	}
}
