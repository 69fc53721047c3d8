package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/progress"
)

// watchEvery is how often a watched question is asked.
const watchEvery = time.Second

// Words a terminal obeys. Lines that are too long are cut, not broken.
const (
	begin      = "\x1b[?25l\x1b[?7l" // no cursor, no line breaks
	end        = "\x1b[?25h\x1b[?7h"
	toTop      = "\x1b[H"
	clearLine  = "\x1b[K"
	clearBelow = "\x1b[J"
)

// Watch asks every second and prints each answer until ctx ends, which is no error. On a
// terminal, which has a height, an answer takes the place of the one before; elsewhere it
// follows it. When the API is away after the first answer, errs or the screen says so, and
// it is asked again.
func Watch(ctx context.Context, w, errs io.Writer, height func() int, ask func(context.Context, io.Writer) error) error {
	screen := height() > 0
	if screen {
		if _, err := io.WriteString(w, begin+toTop+clearBelow); err != nil {
			return err
		}
		defer func() { _, _ = io.WriteString(w, end) }()
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var last []byte
	for first := true; ; first = false {
		var answer bytes.Buffer
		err := ask(ctx, &answer)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && (first || !passes(err)):
			return err
		case err != nil && !screen:
			_, err = fmt.Fprintln(errs, "clickagg:", progress.Clean(err.Error()))
		case err != nil:
			err = redraw(w, last, progress.Clean(err.Error()), height())
		case !screen:
			_, err = w.Write(answer.Bytes())
		default:
			last = answer.Bytes()
			err = redraw(w, last, "", height())
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// passes tells whether asking again can help.
func passes(err error) bool {
	if r, ok := errors.AsType[*client.Refused](err); ok {
		return r.Problem.Status >= http.StatusInternalServerError || r.Problem.Status == http.StatusTooManyRequests
	}
	return errors.Is(err, client.ErrUnreachable)
}

// redraw writes a text over what stands on a screen, line by line so that nothing
// flickers, and no more of it than the screen has lines. A fault stands below, and has
// its place whatever the text is.
func redraw(w io.Writer, text []byte, fault string, height int) error {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	var below []string
	if fault != "" {
		below = []string{"", fault}
	}
	if most := max(0, height-1-len(below)); height > 1 && len(lines) > most {
		lines = lines[:most]
	}
	_, err := io.WriteString(w, toTop+strings.Join(append(lines, below...), clearLine+"\n")+clearLine+"\n"+clearBelow)
	return err
}
