package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/secure"
	"github.com/clickagg/clickagg/internal/stream"
)

// backoff is how long to wait before the next attempt: doubling, with jitter,
// so that many waiting for one broker do not come back together.
type backoff struct{ attempt int }

const (
	backoffFirst = 20 * time.Millisecond
	backoffLast  = time.Second
	// warnAfter is how many attempts fail before it is worth a line in the log:
	// about a second, in which a leader moves.
	warnAfter = 6
)

// wait sleeps, or returns false when ctx ends.
func (b *backoff) wait(ctx context.Context) bool {
	d := min(backoffFirst<<min(b.attempt, 10), backoffLast)
	b.attempt++
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retry calls f until it succeeds, fails for good or ctx ends. Each call has the
// request's time. step says in the error what was tried.
func (l *Log) retry(ctx context.Context, step string, f func(context.Context) error) error {
	ctx, cancel := l.within(ctx)
	defer cancel()
	var b backoff
	var last error // that says more than that time was up
	for {
		err := l.attempt(ctx, f)
		if err == nil {
			return nil
		}
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			last = err
		}
		if ctx.Err() != nil {
			return l.ended(ctx, step, last)
		}
		if !transient(err) {
			return fmt.Errorf("%s: %w", step, err)
		}
		l.complain(b.attempt, step, err)
		if !b.wait(ctx) {
			return l.ended(ctx, step, last)
		}
	}
}

// attempt tries once, within the time a request may take. When ctx has ended
// nothing is sent: the client itself may send even then.
func (l *Log) attempt(ctx context.Context, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.RequestTimeout)
	defer cancel()
	return l.explain(f(ctx))
}

// within is a context that ends with ctx or with the log.
func (l *Log) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.ctx, func() { cancel(net.ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// ended is the error of a call whose context ended: it says what stood in the way.
func (l *Log) ended(ctx context.Context, step string, last error) error {
	cause := context.Cause(ctx)
	if last == nil || errors.Is(last, context.Canceled) || errors.Is(last, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", step, cause)
	}
	return fmt.Errorf("%s: %w (last: %w)", step, cause, last)
}

// complain tells the user of a fault that lasts.
func (l *Log) complain(attempt int, step string, err error) {
	if attempt%(10*warnAfter) == warnAfter {
		l.log.Warn("still trying", zap.String("step", step), zap.Int("attempts", attempt+1), zap.Error(err))
	}
}

// asError is the error of a code, nil for none.
func asError(code int16) error {
	if code == 0 {
		return nil
	}
	return kafkago.Error(code)
}

// transient tells whether trying again may help.
func transient(err error) bool {
	if secure.Refusal(err) != "" {
		return false
	}
	if code, ok := errors.AsType[kafkago.Error](err); ok {
		switch code {
		case kafkago.Unknown, kafkago.InvalidMessage, kafkago.UnknownTopicOrPartition, kafkago.LeaderNotAvailable,
			kafkago.NotLeaderForPartition, kafkago.RequestTimedOut, kafkago.BrokerNotAvailable,
			kafkago.ReplicaNotAvailable, kafkago.NetworkException, kafkago.GroupLoadInProgress,
			kafkago.GroupCoordinatorNotAvailable, kafkago.NotCoordinatorForGroup, kafkago.NotEnoughReplicas,
			kafkago.NotEnoughReplicasAfterAppend, kafkago.NotController, kafkago.KafkaStorageError,
			kafkago.FencedLeaderEpoch, kafkago.UnknownLeaderEpoch, kafkago.OffsetNotAvailable,
			kafkago.UnstableOffsetCommit, kafkago.ThrottlingQuotaExceeded, kafkago.UnknownTopicID,
			kafkago.InconsistentTopicID, kafkago.PreferredLeaderNotAvailable, kafkago.ListenerNotFound:
			return true
		}
		return false
	}
	for _, own := range []error{
		stream.ErrNoTopic, stream.ErrOutOfRange, stream.ErrCreateTime, stream.ErrTooLarge, stream.ErrCorrupt,
	} {
		if errors.Is(err, own) {
			return false
		}
	}
	// What is left is the connection's trouble, or the routing's: a topic just
	// made, a leader not known yet.
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, known := range []error{
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, context.DeadlineExceeded, context.Canceled,
		protocol.ErrNoTopic, protocol.ErrNoPartition, protocol.ErrNoLeader, errAnswer,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
