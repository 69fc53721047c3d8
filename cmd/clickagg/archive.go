package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/archive"
	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/ops"
	"github.com/clickagg/clickagg/internal/progress"
	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/storage/cassandra"
	store "github.com/clickagg/clickagg/storage/embedded"
)

func archiveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "archive",
		Short: "Keep old raw records as Parquet files, look at them and bring them back",
		Example: "  clickagg archive run --archive.after 168h --config clickagg.yaml\n  clickagg archive list\n" +
			"  clickagg archive verify\n  clickagg archive restore --from -24h --to -1h",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(archiveRunCommand(), archiveListCommand(), archiveVerifyCommand(), archiveRestoreCommand())
	return c
}

func archiveRunCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Archive once what is old enough, as --role=archive does all the time",
		Long: "Archive once what was received in hours that ended archive.after ago. What is archived already is not looked at again;\n" +
			"after an interruption it goes on with the file that was not finished. Without cassandra.hosts the raw store is in data_dir,\n" +
			"which no other process may use meanwhile: there let the one process do it, with --role=all,raw,archive.",
		Example: "  clickagg archive run --archive.after 48h --config clickagg.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withArchive(c, fill, func(ctx context.Context, p *process, blobs blob.Ranger) error {
				if p.cfg.Archive.After == 0 {
					return usage(errNoAfter)
				}
				s := p.archiver(blobs, 0)
				if p.cluster() {
					log, err := p.dial(ctx)
					if err != nil {
						return err
					}
					defer func() { _ = log.Close() }()
					s.Log = log
				}
				bar := progress.Start(os.Stderr, isTerminal(os.Stderr), 0, "records")
				var files, records int64
				err := s.Pass(ctx, func(m *archive.Manifest) {
					files++
					records += m.Records
					bar.Println(m.File)
					bar.Set(records, records)
				})
				bar.Finish()
				if err == nil && files == 0 {
					_, err = fmt.Fprintf(c.OutOrStdout(), "nothing is left to archive of hours that ended %v ago\n", p.cfg.Archive.After)
				}
				return err
			})
		},
	}
	addKeys(c)
	return c
}

// errNoAfter: nothing says which records are old.
var errNoAfter = errors.New("archive.after is 0, which archives nothing: set how old records become first, such as 168h")

func archiveListCommand() *cobra.Command {
	var output string
	var files bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "What is archived: of which sources, which offsets, how much, in which files",
		Example: "  clickagg archive list\n  clickagg archive list --files\n  clickagg archive list -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usage(fmt.Errorf("archive list: --output %q is not table or json", output))
			}
			return withArchive(c, read, func(ctx context.Context, _ *process, blobs blob.Ranger) error {
				all, strangers, err := archive.List(ctx, blobs)
				if err != nil {
					return err
				}
				for _, name := range strangers {
					fmt.Fprintf(c.ErrOrStderr(), "%s is no manifest, and is passed over\n", name)
				}
				found, err := archive.Load(ctx, blobs, all)
				switch {
				case err != nil:
					return err
				case output == "json":
					return archive.PrintJSON(c.OutOrStdout(), found)
				case len(found) == 0:
					_, err := fmt.Fprintln(c.OutOrStdout(), "nothing is archived")
					return err
				case files:
					return archive.PrintFiles(c.OutOrStdout(), found)
				}
				return archive.PrintTotals(c.OutOrStdout(), found)
			})
		},
	}
	c.Flags().BoolVar(&files, "files", false, "a line for each file; json has them anyway")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	addKeys(c, "data_dir", "archive")
	return c
}

func archiveVerifyCommand() *cobra.Command {
	var gaps bool
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read all that is archived and say what is wrong with it; exit with 1 when something is",
		Long: "Read all that is archived: whether files are the bytes that were written, whether records are as many as were archived,\n" +
			"whether no offset is missing or there twice. An offset without a record is named: it was lost before it was archived, or it\n" +
			"never had one, as with producers that use transactions. If yours do, say --gaps.",
		Example: "  clickagg archive verify --config clickagg.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withArchive(c, read, func(ctx context.Context, _ *process, blobs blob.Ranger) error {
				bar := progress.Start(os.Stderr, isTerminal(os.Stderr), 0, "records")
				faults, files, records := 0, 0, int64(0)
				err := archive.Verify(ctx, blobs, func(f archive.Finding) {
					if !f.Gap || !gaps {
						faults++
						bar.Println(f.String())
					}
				}, func(m *archive.Manifest) {
					files++
					records += m.Records
					bar.Set(records, records)
				})
				bar.Finish()
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%d files with %d records: %d faults\n", files, records, faults)
				if faults > 0 {
					return &exit{status: 1}
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&gaps, "gaps", false, "offsets without a record are no fault")
	addKeys(c, "data_dir", "archive")
	return c
}

func archiveRestoreCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use:   "restore",
		Short: "Put archived records back into the raw store",
		Long: "Put the archived records that were received in a span of time back into the raw store, from where they expire again after\n" +
			"cassandra.raw_ttl. Questions, replay and reconcile read the archive where it is; this is for a raw store that was lost.\n" +
			"It may be repeated. Without cassandra.hosts the raw store is in data_dir, which no other process may use meanwhile.",
		Example: "  clickagg archive restore --from -24h --to -1h --config clickagg.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			now := time.Now()
			begin, err := api.When("--from", from, now)
			if err != nil {
				return usage(err)
			}
			end, err := api.When("--to", to, now)
			if err != nil {
				return usage(err)
			}
			if begin >= end {
				return usage(fmt.Errorf("archive restore: --from %s is not before --to %s", from, to))
			}
			return withArchive(c, restore, func(ctx context.Context, p *process, blobs blob.Ranger) error {
				if oldest := now.Add(-p.cfg.Cassandra.RawTTL); len(p.cfg.Cassandra.Hosts) == 0 && begin < oldest.UnixMilli() {
					return usage(fmt.Errorf("archive restore: what was received before %s would be deleted again at once: raise cassandra.raw_ttl first", oldest.UTC().Format(time.RFC3339)))
				}
				var bar *progress.Bar
				err := archive.Restore(ctx, blobs, p.rawStore, begin, end, func(done, total int64) error {
					if bar == nil {
						bar = progress.Start(os.Stderr, isTerminal(os.Stderr), total, "records")
					}
					bar.Set(done, done)
					return nil
				})
				if bar != nil {
					bar.Finish()
				} else if err == nil {
					fmt.Fprintln(c.OutOrStdout(), "nothing that was received then is archived")
				}
				return err
			})
		},
	}
	c.Flags().StringVar(&from, "from", "-24h", "received by the broker at or after: RFC 3339, Unix seconds or ms, or relative like -5m")
	c.Flags().StringVar(&to, "to", "now", "received before, in the same notations")
	addKeys(c, "data_dir", "archive", "cassandra")
	return c
}

// What a command does with an archive.
const (
	read    = iota // and nothing else
	fill           // from the raw store
	restore        // into the raw store
)

// withArchive opens the archive, and the raw store if it is needed, for a command. Only one that fills
// an archive makes its place, or data_dir: the others would call what was mistyped an archive without faults.
func withArchive(c *cobra.Command, what int, do func(ctx context.Context, p *process, blobs blob.Ranger) error) (err error) {
	cfg, err := settings(c)
	if err != nil {
		return err
	}
	dir := cmp.Or(cfg.Archive.URL, cfg.DataDir)
	if _, err := os.Stat(dir); what != fill && errors.Is(err, fs.ErrNotExist) && !strings.Contains(dir, "://") {
		return usage(fmt.Errorf("archive: there is none at %s; set --data-dir or --archive.url", dir))
	}
	logger, err := ops.Logger(config.Log{Level: "warn", Format: cfg.Log.Format})
	if err != nil {
		return usage(err)
	}
	p := &process{cfg: cfg, topics: click.TopicsOf(cfg.Kafka.TopicPrefix), logger: logger, archive: archive.NewMetrics(nil)}
	defer func() { err = errors.Join(err, p.close()) }()
	if what != read {
		if err := p.openRaw(c.Context()); err != nil {
			return err
		}
	}
	blobs, done, err := openArchive(c.Context(), cfg, logger)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, done)
	return do(c.Context(), p, blobs)
}

// openRaw opens the raw store for a command.
func (p *process) openRaw(ctx context.Context) error {
	if len(p.cfg.Cassandra.Hosts) > 0 {
		o := cassandraOptions(p.cfg)
		o.Logger = p.logger
		s, err := cassandra.Open(ctx, o)
		if err != nil {
			return err
		}
		p.rawStore, p.closers = s.Raw(), append(p.closers, s.Close)
		return nil
	}
	unlock, err := ops.Lock(p.cfg.DataDir)
	if errors.Is(err, ops.ErrLocked) {
		return fmt.Errorf("%w; the process there archives by itself with --role=all,raw,archive", err)
	} else if err != nil {
		return err
	}
	p.closers = append(p.closers, func() error { unlock(); return nil })
	s, err := store.Open(filepath.Join(p.cfg.DataDir, "raw"), store.Options{Logger: p.logger})
	if err != nil {
		return err
	}
	p.rawStore, p.closers = s.Raw(), append(p.closers, s.Close)
	return nil
}

// archiveDir is the archive's section of the configuration, and where in data_dir it is.
const archiveDir = "archive"

// openArchive opens the place of the archive. Close is called when nothing uses it any more.
func openArchive(ctx context.Context, cfg config.Config, logger *zap.Logger) (blobs blob.Ranger, close func() error, err error) {
	return openPlace(ctx, archiveDir, cfg.Archive.URL, cfg, cfg.Archive.S3, logger)
}

// archiver makes what archives. It rests that many times as long as it works.
func (p *process) archiver(blobs blob.Ranger, rest int) *archive.Service {
	return &archive.Service{
		Archiver: archive.New(p.rawStore, blobs, archive.Config{Rule: look(p.cfg), Rest: rest}, stream.Wall{}, p.archive, p.logger),
		Group:    p.group(roleRaw), After: p.cfg.Archive.After, Skew: p.cfg.Watermark.SkewMargin,
	}
}

// archiveRole archives beside the other roles of this process, at most half of the time.
func (p *process) archiveRole(ctx context.Context) error {
	blobs, done, err := openArchive(ctx, p.cfg, p.logger)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, done)
	s := p.archiver(blobs, 1)
	s.Log = p.log
	p.beside = append(p.beside, s.Run)
	return nil
}

// archived opens what is archived for a question about clicks; nil where there is no archive.
func (p *process) archived() func(ctx context.Context) (*archive.Reader, func() error, error) {
	if p.cfg.Archive.After == 0 && p.cfg.Archive.URL == "" {
		return nil
	}
	return func(ctx context.Context) (*archive.Reader, func() error, error) {
		blobs, done, err := openArchive(ctx, p.cfg, p.logger)
		if err != nil {
			return nil, nil, err
		}
		r, err := archive.NewReader(ctx, blobs)
		if err != nil {
			return nil, nil, errors.Join(err, done())
		}
		if s := r.Strangers(); len(s) > 0 {
			p.logger.Warn("files among the archive's manifests are none, and are passed over; clickagg archive verify names all", zap.Int("files", len(s)), zap.String("first", s[0]))
		}
		return r, done, nil
	}
}

// keepUnarchived returns the offset from which on the raw store of data_dir must keep the
// records of a source; nil where nothing is archived. The last record that is archived stays, so that it
// can be seen that none after it is missing.
func (p *process) keepUnarchived(ctx context.Context) (func(click.Source) int64, error) {
	if p.cfg.Archive.After == 0 {
		return nil, nil
	}
	blobs, done, err := openArchive(ctx, p.cfg, p.logger)
	if err != nil {
		return nil, err
	}
	until, strangers, err := archive.Archived(ctx, blobs)
	if err = errors.Join(err, done()); err != nil {
		return nil, err
	}
	if len(strangers) > 0 {
		p.logger.Warn("no raw records are deleted of partitions with other files among their manifests in the archive: move these away, or give them back their names",
			zap.Int("files", len(strangers)), zap.String("first", strangers[0]))
	}
	return func(s click.Source) int64 { return max(until[s]-1, 0) }, nil
}
