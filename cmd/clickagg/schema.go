package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clickagg/clickagg/storage/cassandra"
)

func schemaCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "schema",
		Short:   "Make, print or check the tables in Cassandra",
		Example: "  clickagg schema check --config clickagg.yaml",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(schemaApplyCommand(), schemaPrintCommand(), schemaCheckCommand())
	return c
}

func schemaApplyCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "apply",
		Short: "Make the keyspace, the tables and their options, as far as they are missing",
		Long: "Make the keyspace and the tables that are missing, and set how long rows live. What is done is shown before\n" +
			"it is done. It may be repeated, and run while clickagg runs. The replication of a keyspace that is there is\n" +
			"never changed.",
		Example: "  clickagg schema apply --config clickagg.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := schemaOptions(c)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			steps, err := cassandra.Plan(c.Context(), o)
			if err != nil {
				return err
			}
			if len(steps) == 0 {
				_, err := fmt.Fprintln(out, "schema: up to date")
				return err
			}
			for _, s := range steps {
				fmt.Fprintln(out, "will", s)
			}
			if !yes {
				if err := confirm(out, "schema apply"); err != nil {
					return err
				}
			}
			if err := cassandra.Apply(c.Context(), o, func(step string) { fmt.Fprintln(out, "now", step) }); err != nil {
				return err
			}
			_, err = fmt.Fprintln(out, "schema: applied")
			return err
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do it without asking")
	addKeys(c, "cassandra")
	return c
}

// confirm asks whether to go on. Where nobody can be asked, nobody has agreed.
func confirm(out io.Writer, command string) error {
	if !isTerminal(os.Stdin) {
		return usage(errors.New(command + ": nobody is there to ask; say --yes to do it"))
	}
	fmt.Fprint(out, "Go on? [y/N] ")
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return &exit{status: 1, err: errors.New("nothing was done")}
	}
	return nil
}

func schemaPrintCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "print",
		Short:   "Print the CQL that makes everything, for cqlsh",
		Example: "  clickagg schema print --config clickagg.yaml > schema.cql",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := settings(c)
			if err != nil {
				return err
			}
			return cassandra.Print(c.OutOrStdout(), cassandraOptions(cfg))
		},
	}
	addKeys(c, "cassandra")
	return c
}

func schemaCheckCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:     "check",
		Short:   "Say what in the schema is there and what should be; exit with 1 when they differ",
		Example: "  clickagg schema check --config clickagg.yaml -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usage(fmt.Errorf("schema check: --output %q is not table or json", output))
			}
			o, err := schemaOptions(c)
			if err != nil {
				return err
			}
			found, err := cassandra.Check(c.Context(), o)
			if err != nil {
				return err
			}
			if err := printDifferences(c.OutOrStdout(), output, found); err != nil {
				return err
			}
			if len(found) > 0 {
				return &exit{status: 1, err: errors.New("the schema is not as it should be")}
			}
			return nil
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	addKeys(c, "cassandra")
	return c
}

func printDifferences(out io.Writer, output string, found []cassandra.Difference) error {
	if output == "json" {
		if found == nil {
			found = []cassandra.Difference{}
		}
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Fits        bool                   `json:"fits"`
			Differences []cassandra.Difference `json:"differences"`
		}{len(found) == 0, found})
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(out, "schema: ok")
		return err
	}
	for _, d := range found {
		have, want := cmp.Or(d.Have, "nothing"), cmp.Or(d.Want, "nothing")
		if _, err := fmt.Fprintf(out, "%s: is %s, should be %s\n    cure: %s\n", d.What, have, want, d.Cure); err != nil {
			return err
		}
	}
	return nil
}

// schemaOptions reads the configuration of a command that needs the servers.
func schemaOptions(c *cobra.Command) (cassandra.Options, error) {
	cfg, err := settings(c)
	if err != nil {
		return cassandra.Options{}, err
	}
	if len(cfg.Cassandra.Hosts) == 0 {
		return cassandra.Options{}, usage(errors.New("cassandra.hosts is empty: say where Cassandra is, as in --cassandra.hosts=10.0.0.1:9042"))
	}
	return cassandraOptions(cfg), nil
}
