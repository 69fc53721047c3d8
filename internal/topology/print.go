package topology

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print writes findings for people: what is there and what should be, then for each
// why and what to do.
func Print(w io.Writer, findings []Finding) error {
	if len(findings) == 0 {
		_, err := fmt.Fprintln(w, "topics: ok")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TOPIC\tSETTING\tFOUND\tWANTED\t")
	for _, f := range findings {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", f.Topic, f.Setting, f.Found, f.Wanted, f.Severity)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, "\n%s, %s: %s\n  %s\n", f.Topic, f.Setting, f.Why, f.Cure); err != nil {
			return err
		}
	}
	return nil
}
