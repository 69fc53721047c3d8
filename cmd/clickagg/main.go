package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default comes back: a second one ends at once.
	context.AfterFunc(ctx, stop)
	err := root().ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	os.Exit(report(err, interrupted))
}

// report prints an error and chooses the exit status: 0 done, 1 the answer is no
// or the work was not finished, 2 usage or configuration, 3 the environment,
// 4 proven loss of data, 130 interrupted.
func report(err error, interrupted bool) int {
	if err == nil {
		return 0
	}
	var e *exit
	if !errors.As(err, &e) {
		e = &exit{status: 3, err: err}
	}
	if interrupted {
		e.status = 130
	}
	if e.err != nil && !(interrupted && errors.Is(e.err, context.Canceled)) {
		fmt.Fprintln(os.Stderr, "clickagg:", e.err)
	}
	return e.status
}

// exit is an error that chooses the exit status.
type exit struct {
	status int
	err    error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// usage is an error of the command line or the configuration.
func usage(err error) error { return &exit{status: 2, err: err} }
