package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/control"
	"github.com/clickagg/clickagg/internal/letters"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/mapper"
)

func lettersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "deadletters",
		Short: "See which records were not counted and why, and send corrected ones again",
		Example: "  clickagg deadletters list\n  clickagg deadletters list --late --from -24h\n" +
			"  clickagg deadletters redrive --reason missing_field --edit country=DE --dry-run",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(listLettersCommand(), showLetterCommand(), redriveCommand(), dropLettersCommand())
	return c
}

// letterFlags are those that say which letters are meant.
type letterFlags struct {
	filter   letters.Filter
	from, to string
	late     bool
}

func (f *letterFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.from, "from", "", "received by the broker at or after: RFC 3339, Unix seconds or ms, or relative like -5m")
	c.Flags().StringVar(&f.to, "to", "", "received before, in the same notations")
	c.Flags().StringSliceVar(&f.filter.Reasons, "reason", nil, "only these reasons, as in malformed,bad_time")
	c.Flags().StringVar(&f.filter.Source, "source", "", "only of this topic, topic/partition or topic/partition/offset")
	f.addLate(c)
}

// none tells whether nothing was said of which letters are meant.
func (f *letterFlags) none() bool {
	return f.from == "" && f.to == "" && len(f.filter.Reasons) == 0 && f.filter.Source == ""
}

func (f *letterFlags) addLate(c *cobra.Command) {
	c.Flags().BoolVar(&f.late, "late", false, "late clicks instead of rejected records")
}

// box opens the letters that a command is about.
func (f *letterFlags) box(c *cobra.Command, do func(ctx context.Context, p *process, b *letters.Box) error) error {
	cfg, err := settings(c)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, end := range []struct {
		name, text string
		ms         *int64
	}{{"--from", f.from, &f.filter.From}, {"--to", f.to, &f.filter.To}} {
		if end.text == "" {
			continue
		}
		if *end.ms, err = api.When(end.name, end.text, now); err != nil {
			return usage(err)
		}
	}
	if err := f.filter.Check(); err != nil {
		return usage(err)
	}
	p := &process{cfg: cfg, topics: click.TopicsOf(cfg.Kafka.TopicPrefix)}
	log, err := p.dial(c.Context())
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p.log = log
	b := &letters.Box{Log: log, Topic: p.topics.Rejected}
	if f.late {
		b.Topic = p.topics.Late
	}
	if err = do(c.Context(), p, b); errors.Is(err, letters.ErrUsage) {
		return usage(err)
	}
	return err
}

func listLettersCommand() *cobra.Command {
	var f letterFlags
	var output string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "How many records were not counted, by source and reason, and which",
		Example: "  clickagg deadletters list --from -24h --reason malformed\n  clickagg deadletters list --late\n" +
			"  clickagg deadletters list -o jsonl > letters.jsonl",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !slices.Contains([]string{letters.Table, letters.JSON, letters.Lines, letters.CSV}, output) {
				return usage(fmt.Errorf("deadletters list: --output %q is not table, json, jsonl or csv", output))
			}
			if !c.Flags().Changed("limit") && (output == letters.Lines || output == letters.CSV) {
				limit = 0 // a file that lacks some is worse than a long one
			}
			if limit < 0 {
				return usage(fmt.Errorf("deadletters list: --limit %d is less than nothing", limit))
			}
			return f.box(c, func(ctx context.Context, _ *process, b *letters.Box) error {
				return b.Print(ctx, f.filter, output, limit, c.OutOrStdout())
			})
		},
	}
	f.add(c)
	c.Flags().BoolVar(&f.filter.Settled, "settled", false, "those as well that were redriven or dropped")
	c.Flags().IntVar(&limit, "limit", 50, "most letters to list one by one, 0 for all; jsonl and csv have all unless it is given")
	c.Flags().StringVarP(&output, "output", "o", letters.Table, "table, json, jsonl or csv")
	addKeys(c, "kafka", "embedded")
	return c
}

func showLetterCommand() *cobra.Command {
	var f letterFlags
	var asHex bool
	c := &cobra.Command{
		Use:     "show TOPIC/PARTITION/OFFSET",
		Short:   "The bytes of one record that was not counted, what is wrong with it, and what to do",
		Example: "  clickagg deadletters show clicks/0/17",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || strings.Count(args[0], "/") != 2 {
				return usage(errors.New("deadletters show: name one letter by where its record stands, as in: clickagg deadletters show clicks/0/17"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return f.box(c, func(ctx context.Context, _ *process, b *letters.Box) error {
				l, err := b.Show(ctx, args[0])
				if err != nil {
					return err
				}
				return l.Print(c.OutOrStdout(), asHex)
			})
		},
	}
	f.addLate(c)
	c.Flags().BoolVar(&asHex, "hex", false, "write the value in hex")
	addKeys(c, "kafka", "embedded")
	return c
}

// redriveFlags are those of redrive beside the letters'.
type redriveFlags struct {
	letterFlags
	edits []string
	file  string
	all   bool
	o     letters.Redrive
}

func redriveCommand() *cobra.Command {
	var f redriveFlags
	c := &cobra.Command{
		Use:   "redrive",
		Short: "Send corrected records to their topic again",
		Long: "Send letters to their input topic again, corrected. Each is judged first by the mapper's own rules, after all that\n" +
			"its source holds by then; what would be refused is named and not sent. Keep the event id: a click that was counted already is\n" +
			"then not counted twice. What is sent is remembered, and not sent by a second run unless --again.",
		Example: "  clickagg deadletters redrive --reason missing_field --edit country=DE --dry-run\n" +
			"  clickagg deadletters list -o jsonl > letters.jsonl && clickagg deadletters redrive --file letters.jsonl --dry-run",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.none() && !f.all && f.file == "" {
				return usage(errors.New("deadletters redrive: say which letters: --reason, --source, --from, --to or --file, or --all"))
			}
			for _, text := range f.edits {
				e, err := letters.ParseEdit(text)
				if err != nil {
					return usage(err)
				}
				f.o.Edits = append(f.o.Edits, e)
			}
			if f.file != "" {
				in, err := os.Open(f.file)
				if err != nil {
					return usage(fmt.Errorf("deadletters redrive: --file: %w", err))
				}
				defer func() { _ = in.Close() }()
				f.o.File = in
			}
			return f.box(c, f.redrive)
		},
	}
	f.add(c)
	c.Flags().StringArrayVar(&f.edits, "edit", nil, "field=value to set in each, such as ts=1764000000000; may be given several times")
	c.Flags().StringVar(&f.file, "file", "", "corrected letters, a JSON object a line, as 'deadletters list -o jsonl' writes them")
	c.Flags().StringVar(&f.o.Topic, "to-topic", "", "topic to send to (default: where each is from)")
	c.Flags().BoolVar(&f.filter.Settled, "again", false, "those as well that were redriven or dropped")
	c.Flags().BoolVar(&f.o.DryRun, "dry-run", false, "only say what would become of them")
	c.Flags().BoolVar(&f.all, "all", false, "all letters that are not dealt with")
	addKeys(c)
	return c
}

func (f *redriveFlags) redrive(ctx context.Context, p *process, b *letters.Box) (err error) {
	if p.facts, err = control.Load(ctx, p.log, p.topics.Control); err != nil {
		return err
	}
	if p.facts.Cluster == nil {
		return usage(fmt.Errorf("deadletters: %s says nothing of an installation: is kafka.topic_prefix right?", p.topics.Control))
	}
	o := f.o
	bar := progress.Start(os.Stderr, isTerminal(os.Stderr), 0, "letters")
	o.Filter, o.Judge = f.filter, mapper.NewJudge(p.log, p.mapperConfig(), p.facts, stream.Wall{})
	o.Own = func(topic string) bool { return own(&p.cfg, topic) }
	o.Fault = func(name, text string) { bar.Println(name + ": " + text) }
	o.Step = func(now letters.Outcome) { bar.Set(now.Letters, now.Letters) }
	out, err := b.Redrive(ctx, o)
	bar.Finish()
	if err != nil {
		return err
	}
	sent := "sent"
	if o.DryRun {
		sent = "would be sent"
	}
	fmt.Fprintf(os.Stderr, "%s: %d %s, %d of them late again; %d not, as they would be refused; %d not, as their bytes are gone\n",
		some(out.Letters, "letter", "letters"), out.Sent(), sent, out.Late, out.Refused, out.Away)
	if out.Refused+out.Away > 0 {
		return &exit{status: 1}
	}
	return nil
}

// some says how many there are of something.
func some(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", more)
}

func dropLettersCommand() *cobra.Command {
	var f letterFlags
	var why string
	var all bool
	c := &cobra.Command{
		Use:   "drop",
		Short: "Mark records that were not counted as dealt with; nothing is deleted",
		Example: "  clickagg deadletters drop --source clicks/0 --reason malformed --why 'a load test'\n" +
			"  clickagg deadletters drop --late --to -24h --why 'added by hand'",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.none() && !all {
				return usage(errors.New("deadletters drop: say which letters: --reason, --source, --from or --to, or --all"))
			}
			return f.box(c, func(ctx context.Context, _ *process, b *letters.Box) error {
				n, err := b.Drop(ctx, f.filter, why)
				if err == nil {
					fmt.Fprintf(c.OutOrStdout(), "%s dealt with\n", some(n, "letter is", "letters are"))
				}
				return err
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&why, "why", "", "the reason, for whoever looks later")
	c.Flags().BoolVar(&all, "all", false, "all letters")
	addKeys(c, "kafka", "embedded")
	return c
}
