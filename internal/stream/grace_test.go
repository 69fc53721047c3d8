package stream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		longer, free := Grace(ctx, 5*time.Second)
		defer free()
		stop()
		<-time.After(5*time.Second - time.Millisecond) // of the bubble's time
		if longer.Err() != nil {
			t.Error("it ended before its time")
		}
		<-time.After(2 * time.Millisecond)
		synctest.Wait()
		if longer.Err() == nil {
			t.Error("it outlived its time")
		}
		free()
		again, free := Grace(t.Context(), time.Second)
		free()
		if again.Err() == nil {
			t.Error("it was freed and goes on")
		}
	})
}
