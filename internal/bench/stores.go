package bench

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Store is a kind of store that a program measures.
type Store struct {
	Name    string // as the flag -store has it
	Measure func(ctx context.Context, w io.Writer) error
}

// Stores is the main function of a program that measures stores, one after the other, or the one
// that the flag -store names. Other flags are defined before.
func Stores(program string, all ...Store) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	only := flag.String("store", "", "cassandra or embedded; empty is both")
	flag.Parse()
	measured := false
	for _, s := range all {
		if *only != "" && *only != s.Name {
			continue
		}
		measured = true
		if err := s.Measure(ctx, os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
			os.Exit(1)
		}
	}
	if !measured {
		fmt.Fprintf(os.Stderr, "%s: there is no store %q\n", program, *only)
		os.Exit(2)
	}
}
