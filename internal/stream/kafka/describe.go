package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/clickagg/clickagg/internal/click"
)

// TopicState is a topic as the cluster has it.
type TopicState struct {
	Name        string
	ID          click.TopicID
	Partitions  int32
	Replication int               // of the partition that has the fewest replicas
	Configs     map[string]string // every setting in force, also those of the broker and Kafka's own defaults
}

// TopicNames returns the names of all topics this user may see, in order.
func (l *Log) TopicNames(ctx context.Context) (names []string, err error) {
	err = l.retry(ctx, "list topics", func(ctx context.Context) error {
		topics, err := l.allMetadata(ctx)
		if err != nil {
			return err
		}
		names = names[:0]
		for _, t := range topics {
			names = append(names, t.name)
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

// DescribeTopics returns what the cluster has of the named topics, in their order.
// Those that do not exist are left out.
func (l *Log) DescribeTopics(ctx context.Context, names []string) (found []TopicState, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	err = l.retry(ctx, "describe topics", func(ctx context.Context) error {
		topics, err := l.metadata(ctx, names...)
		if err != nil {
			return err
		}
		found = found[:0]
		for _, name := range names {
			i := slices.IndexFunc(topics, func(t topicMetadata) bool { return t.name == name })
			if i < 0 {
				return fmt.Errorf("%w: nothing about topic %s", errAnswer, name)
			}
			t := topics[i]
			switch err := asError(t.code); {
			case errors.Is(err, kafkago.UnknownTopicOrPartition):
				continue
			case err != nil:
				return fmt.Errorf("%s: %w", name, l.denied(err, "Describe", onTopic, name))
			}
			found = append(found, TopicState{Name: name, ID: t.id, Partitions: t.partitions, Replication: t.replicas})
		}
		return l.configs(ctx, found)
	})
	return found, err
}

// configs fills in the topics' settings.
func (l *Log) configs(ctx context.Context, topics []TopicState) error {
	if len(topics) == 0 {
		return nil
	}
	request := &kafkago.DescribeConfigsRequest{}
	for _, t := range topics {
		request.Resources = append(request.Resources, kafkago.DescribeConfigRequestResource{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: t.Name,
		})
	}
	r, err := l.client.DescribeConfigs(ctx, request)
	if err != nil {
		return err
	}
	for i := range topics {
		t := &topics[i]
		at := slices.IndexFunc(r.Resources, func(r kafkago.DescribeConfigResponseResource) bool { return r.ResourceName == t.Name })
		if at < 0 {
			return fmt.Errorf("%w: no settings of topic %s", errAnswer, t.Name)
		}
		if err := r.Resources[at].Error; err != nil {
			return fmt.Errorf("%s: %w", t.Name, l.denied(err, "DescribeConfigs", onTopic, t.Name))
		}
		t.Configs = make(map[string]string)
		for _, e := range r.Resources[at].ConfigEntries {
			t.Configs[e.ConfigName] = e.ConfigValue
		}
	}
	return nil
}
