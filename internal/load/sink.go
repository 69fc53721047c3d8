package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/clickagg/clickagg/internal/stream"
)

// sink is where generated events go.
type sink interface {
	// write keeps the messages in order.
	write(ctx context.Context, messages []stream.Message) error
	// close makes sure that all is kept.
	close() error
}

// sink opens where the events go; of a topic it says what is known of it.
func (o *GenerateOptions) sink(ctx context.Context, log stream.Log) (sink, stream.Topic, error) {
	switch {
	case o.File == "-":
		return &fileSink{name: "stdout", w: nopCloser{bufio.NewWriterSize(o.Stdout, fileBuffer)}}, stream.Topic{}, nil
	case o.File != "":
		f, err := create(o.File)
		if err != nil {
			return nil, stream.Topic{}, err
		}
		return &fileSink{name: o.File, w: f}, stream.Topic{}, nil
	}
	topic, err := log.Topic(ctx, o.Topic)
	if err != nil {
		return nil, topic, fmt.Errorf("topic %s: %w", o.Topic, err)
	}
	return topicSink{log: log, topic: topic.Name}, topic, nil
}

type topicSink struct {
	log   stream.Log
	topic string
}

func (t topicSink) write(ctx context.Context, messages []stream.Message) error {
	return appendAll(ctx, t.log, t.topic, messages)
}

func (topicSink) close() error { return nil }

// fileSink writes one value a line.
type fileSink struct {
	name string
	w    io.WriteCloser
	line []byte
}

func (f *fileSink) write(_ context.Context, messages []stream.Message) error {
	for i := range messages {
		f.line = append(append(f.line[:0], messages[i].Value...), '\n')
		if _, err := f.w.Write(f.line); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	return nil
}

func (f *fileSink) close() error {
	if err := f.w.Close(); err != nil {
		return fmt.Errorf("write %s: %w", f.name, err)
	}
	return nil
}

const fileBuffer = 256 << 10

// create makes a file that is packed as the end of its name says.
func create(path string) (io.WriteCloser, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	out := &file{file: f}
	switch {
	case strings.HasSuffix(path, ".gz"):
		out.packer, err = gzip.NewWriterLevel(f, gzip.BestSpeed)
	case strings.HasSuffix(path, ".zst"):
		out.packer, err = zstd.NewWriter(f, zstd.WithEncoderConcurrency(1))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var under io.Writer = f
	if out.packer != nil {
		under = out.packer
	}
	out.buffer = bufio.NewWriterSize(under, fileBuffer)
	return out, nil
}

// file is a file under a packer under a buffer.
type file struct {
	buffer *bufio.Writer
	packer io.WriteCloser // or nil
	file   *os.File
}

func (f *file) Write(p []byte) (int, error) { return f.buffer.Write(p) }

// Close writes what is buffered and closes all layers, whatever fails.
func (f *file) Close() error {
	err := f.buffer.Flush()
	if f.packer != nil {
		err = errors.Join(err, f.packer.Close())
	}
	return errors.Join(err, f.file.Close())
}

// nopCloser is a buffer over what is not ours to close.
type nopCloser struct{ *bufio.Writer }

func (n nopCloser) Close() error { return n.Flush() }
