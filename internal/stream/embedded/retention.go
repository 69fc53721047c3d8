package embedded

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
)

// expireEvery is how often expired files are looked for.
const expireEvery = time.Minute

// keepLast holds a request to delete records back from the very last one: a
// partition with nothing on the disk begins again at offset 0 when the process
// starts, and a reader's position would name other records then.
func (b *Broker) keepLast(r *kmsg.DeleteRecordsRequest) {
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			err := b.ask(func(c *kfake.Cluster) {
				in := c.PartitionInfo(t.Topic, p.Partition)
				if in != nil && (p.Offset == -1 || p.Offset == in.HighWatermark) {
					p.Offset = max(in.HighWatermark-1, in.LogStartOffset)
				}
			})
			if err != nil {
				p.Partition = -1 // there is none: nothing is deleted
			}
		}
	}
}

// expireAll deletes what is over its retention, now and then.
func (b *Broker) expireAll(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		if err := b.expire(time.Now()); err != nil {
			b.log.Warn("cannot delete expired records", zap.Error(err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// expire deletes the files whose records are all over their topic's retention,
// except a partition's last file.
func (b *Broker) expire(now time.Time) error {
	root := filepath.Join(b.cfg.Dir, "partitions")
	dirs, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, d := range dirs {
		topic, partition, ok := partitionOf(d.Name())
		if !ok {
			continue
		}
		files, e := segments(filepath.Join(root, d.Name()))
		err = errors.Join(err, e)
		configs, ok := b.configs(topic)
		if !ok {
			continue
		}
		before, ok := b.limits(configs).before(files, now)
		if !ok {
			continue
		}
		var failed error
		e = b.ask(func(c *kfake.Cluster) { failed = c.DeleteRecords(topic, partition, before) })
		if e = errors.Join(e, failed); e != nil && !errors.Is(e, kerr.OffsetOutOfRange) { // deleted by someone else
			err = errors.Join(err, fmt.Errorf("%s/%d: %w", topic, partition, e))
		}
	}
	return err
}

// limits are a topic's retention; a negative one is none.
type limits struct {
	age   time.Duration
	bytes int64
}

func (b *Broker) limits(configs map[string]*string) limits {
	l := limits{age: b.cfg.Retention, bytes: number(configs, "retention.bytes", -1)}
	if l.age == 0 {
		l.age = -1
	}
	if ms := number(configs, "retention.ms", math.MinInt64); ms != math.MinInt64 {
		l.age = time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	return l
}

// before is the offset below which all is over a limit.
func (l limits) before(files []segment, now time.Time) (offset int64, ok bool) {
	var total int64
	for _, f := range files {
		total += f.size
	}
	for i := 0; i+1 < len(files); i++ {
		f := files[i]
		old := l.age >= 0 && now.Sub(f.modified) >= l.age
		large := l.bytes >= 0 && total-f.size >= l.bytes
		if !old && !large {
			break
		}
		total -= f.size
		offset, ok = files[i+1].base, true
	}
	return offset, ok
}

// segment is one file of a partition's log.
type segment struct {
	base     int64 // offset of its first record
	size     int64
	modified time.Time // when its newest record was written
}

func (s segment) name() string { return strconv.FormatInt(s.base, 10) + ".dat" }

// partitionDir is where the engine keeps a partition.
func partitionDir(dir, topic string, partition int32) string {
	return filepath.Join(dir, "partitions", url.PathEscape(topic)+"-"+strconv.Itoa(int(partition)))
}

// partitionOf reads the name of a partition's directory: the topic, escaped, and
// the partition's number with a dash between them.
func partitionOf(name string) (topic string, partition int32, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.ParseInt(name[i+1:], 10, 32)
	if err != nil {
		return "", 0, false
	}
	topic, err = url.PathUnescape(name[:i])
	return topic, int32(n), err == nil
}

// segments lists the files of a partition in the order of their offsets.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []segment
	for _, e := range entries {
		base, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), ".dat"), 10, 64)
		if err != nil || !strings.HasSuffix(e.Name(), ".dat") {
			continue
		}
		in, err := e.Info()
		if err != nil {
			continue // deleted since
		}
		files = append(files, segment{base: base, size: in.Size(), modified: in.ModTime()})
	}
	slices.SortFunc(files, func(a, b segment) int { return int(min(max(a.base-b.base, -1), 1)) })
	return files, nil
}
