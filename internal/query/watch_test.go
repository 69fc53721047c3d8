package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
)

// watch watches for so many seconds what answers each second's turn in order.
func watch(t *testing.T, height int, seconds time.Duration, turns ...any) (screen, errs string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second-time.Millisecond)
		defer cancel()
		var out, problems bytes.Buffer
		turn := 0
		err = Watch(ctx, &out, &problems, func() int { return height }, func(_ context.Context, w io.Writer) error {
			say := turns[turn]
			turn++
			if err, is := say.(error); is {
				return err
			}
			_, err := io.WriteString(w, say.(string))
			return err
		})
		if turn != len(turns) {
			t.Errorf("asked %d times, not %d", turn, len(turns))
		}
		screen, errs = out.String(), problems.String()
	})
	return screen, errs, err
}

var errAway = fmt.Errorf("away: %w", client.ErrUnreachable)

// Elsewhere than on a terminal answers follow each other, once a second.
func TestWatchLines(t *testing.T) {
	t.Parallel()
	out, errs, err := watch(t, 0, 4, "one\n", errAway, &client.Refused{Problem: api.Problem{Status: 429, Detail: "too\x1b many"}}, "two\n")
	if out != "one\ntwo\n" || errs != "clickagg: away: the API cannot be reached\nclickagg: too\uFFFD many\n" || err != nil {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
}

// On a terminal each takes the place of the one before, as far as there is room, and in
// the end the terminal is as it was.
func TestWatchScreen(t *testing.T) {
	t.Parallel()
	out, errs, err := watch(t, 4, 4, "a\nb\nc\nd\n", errAway, "e\n", errAway)
	want := begin + toTop + clearBelow +
		toTop + "a" + clearLine + "\nb" + clearLine + "\nc" + clearLine + "\n" + clearBelow +
		toTop + "a" + clearLine + "\n" + clearLine + "\naway: the API cannot be reached" + clearLine + "\n" + clearBelow +
		toTop + "e" + clearLine + "\n" + clearBelow +
		toTop + "e" + clearLine + "\n" + clearLine + "\naway: the API cannot be reached" + clearLine + "\n" + clearBelow +
		end
	if out != want || errs != "" || err != nil {
		t.Errorf("%q\n%q, %q, %v", out, want, errs, err)
	}
}

// Ctrl-C while a question is asked is no error either.
func TestWatchIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	err := Watch(ctx, io.Discard, io.Discard, func() int { return 0 }, func(ctx context.Context, _ io.Writer) error {
		cancel()
		return ctx.Err()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWatchEnds(t *testing.T) {
	t.Parallel()
	wrong := &client.Refused{Problem: api.Problem{Status: 400, Detail: "no such ad"}}
	if _, _, err := watch(t, 0, 9, errAway); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("without a first answer: %v", err)
	}
	out, _, err := watch(t, 9, 9, "a\n", wrong)
	if !errors.Is(err, wrong) || !strings.HasSuffix(out, end) {
		t.Errorf("when asking again is no use: %v, %q", err, out)
	}
}
