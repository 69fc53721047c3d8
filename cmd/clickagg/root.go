package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/ops"
)

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "clickagg",
		Short: "Count ad clicks exactly",
		Long: "clickagg reads clicks from Kafka's protocol, counts each once per ad and minute, whatever is repeated,\n" +
			"late or crashes, and answers how many clicks an ad got and which ads got the most.",
		Example: "  clickagg run --role=all --data-dir ./clickagg-data\n" +
			"  clickagg produce --file clicks.jsonl --finish --wait\n" +
			"  clickagg query top -n 10 --last 5m",
		Version:       ops.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SetVersionTemplate("{{.Version}}\n")
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w; see '%s --help'", err, c.CommandPath()))
	})
	c.PersistentFlags().String("config", "", "configuration file, YAML (environment: "+config.EnvFile+")")
	c.AddCommand(runCommand(), produceCommand(), generateCommand(), queryCommand(), exportCommand(), statusCommand(), configCommand(), demoCommand(),
		topicsCommand(), schemaCommand(), sourcesCommand(), hotCommand(), filterCommand(), tokenCommand(), auditCommand(), reconcileCommand(), lettersCommand(), archiveCommand(), replayCommand())
	c.AddCommand(verbCommands()...)
	return c
}

// noArgs refuses arguments, and with them commands there are none of.
func noArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasSubCommands():
		return usage(fmt.Errorf("there is no command %q; see '%s --help'", args[0], c.CommandPath()))
	}
	return usage(fmt.Errorf("the argument %q is one too many; see '%s --help'", args[0], c.CommandPath()))
}

// addKeys gives a command a flag for every key of the named sections, or for
// every key when none is named.
func addKeys(c *cobra.Command, sections ...string) {
	for k := range config.Keys() {
		named := slices.ContainsFunc(sections, func(s string) bool { return k.Path == s || strings.HasPrefix(k.Path, s+".") })
		if len(sections) > 0 && !named {
			continue
		}
		c.Flags().Var(&keyFlag{key: k, text: k.Default}, flagName(k.Path), k.Doc)
	}
}

func flagName(path string) string { return strings.ReplaceAll(path, "_", "-") }

// keyFlag is a flag that sets a key; the config room reads its text.
type keyFlag struct {
	key  config.Key
	text string
}

var _ pflag.Value = (*keyFlag)(nil)

func (f *keyFlag) String() string     { return f.text }
func (f *keyFlag) Set(s string) error { f.text = s; return nil }
func (f *keyFlag) Type() string       { return f.key.Type }

// settings reads the configuration of a command from its flags, the environment and
// the file.
func settings(c *cobra.Command) (config.Config, error) {
	flags := map[string]string{}
	c.Flags().Visit(func(f *pflag.Flag) {
		if k, ok := f.Value.(*keyFlag); ok {
			flags[k.key.Path] = k.text
		}
	})
	file, err := c.Flags().GetString("config")
	if err != nil {
		return config.Config{}, err
	}
	if file == "" {
		file = os.Getenv(config.EnvFile)
	}
	cfg, err := config.Load(config.Sources{File: file, Env: os.Environ(), Flags: flags})
	if err != nil {
		return cfg, usage(fmt.Errorf("configuration:\n%w", err))
	}
	return cfg, nil
}
