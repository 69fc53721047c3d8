package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/internal/api/client"
)

// completeWait is how long a person who pressed a key waits for the API at most.
const completeWait = time.Second

// completeWords completes the values of a flag from a list.
func completeWords(c *cobra.Command, flag string, words ...string) {
	complete(c, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeFilters completes --filter from the filters that the API knows.
func completeFilters(c *cobra.Command) {
	complete(c, "filter", suggest(func(ctx context.Context, to *client.Client, _ string) ([]cobra.Completion, error) {
		filters, err := to.Filters(ctx)
		words := []cobra.Completion{cobra.CompletionWithDesc("000", "all clicks")}
		for _, f := range filters {
			words = append(words, cobra.CompletionWithDesc(f.ID, f.Name))
		}
		return words, err
	}))
}

func complete(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // no such flag, or two completions of it
	}
}

// completeAds completes ad ids from those that had clicks of late.
func completeAds(c *cobra.Command, args []string, begin string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return suggest(func(ctx context.Context, to *client.Client, begin string) ([]cobra.Completion, error) {
		a, err := to.Ads(ctx, begin)
		return slices.DeleteFunc(a.AdIDs, func(ad string) bool { return slices.Contains(args, ad) }), err
	})(c, args, begin)
}

// suggest asks the API for completions. One that is not there, or slow, has none: a
// shell has no place for errors.
func suggest(f func(context.Context, *client.Client, string) ([]cobra.Completion, error)) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, begin string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const none = cobra.ShellCompDirectiveNoFileComp
		cfg, err := settings(c)
		if err != nil {
			return nil, none
		}
		to, err := apiClient(cfg)
		if err != nil {
			return nil, none
		}
		defer to.Close()
		ctx, cancel := context.WithTimeout(c.Context(), completeWait)
		defer cancel()
		words, err := f(ctx, to, begin)
		if err != nil {
			return nil, none
		}
		return words, none
	}
}
