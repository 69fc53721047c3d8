package kafka

import (
	"context"
	"errors"
	"testing"
)

// Nothing is asked of the client for a caller who has given up: it might send even so,
// and whether it does is chance.
func TestNothingIsSentAfterTheEnd(t *testing.T) {
	t.Parallel()
	l := &Log{ctx: t.Context()}
	cause := errors.New("the test's own")
	ctx, giveUp := context.WithCancelCause(t.Context())
	giveUp(cause)
	sent := false
	send := func(context.Context) error {
		sent = true
		return nil
	}
	if err := l.retry(ctx, "ask", send); sent || !errors.Is(err, cause) {
		t.Errorf("retry: sent %v, %v", sent, err)
	}
	if err := l.attempt(ctx, send); sent || !errors.Is(err, context.Canceled) {
		t.Errorf("attempt: sent %v, %v", sent, err)
	}
	topic := []*part{{ends: []int{1}}}
	if err := l.send(ctx, "clicks", topic); !errors.Is(err, cause) || topic[0].sent != 0 {
		t.Errorf("append: sent %d, %v", topic[0].sent, err)
	}
}
