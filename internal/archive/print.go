package archive

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Total is what is archived of one source.
type Total struct {
	Source   string `json:"source"`
	TopicID  string `json:"topic_id"`
	From     int64  `json:"from"` // offsets; To is not in it
	To       int64  `json:"to"`
	Files    int    `json:"files"`
	Records  int64  `json:"records"`
	Clicks   int64  `json:"clicks"`
	Bytes    int64  `json:"bytes"`
	Missing  int64  `json:"missing"` // offsets in between that no slice stands for
	Received Times  `json:"received"`
}

// Totals adds up manifests, which are in the order of sources.
func Totals(found []*Manifest) []Total {
	var all []Total
	for _, m := range found {
		source := m.Slice().Source.String()
		n := len(all) - 1
		if n < 0 || all[n].Source != source || all[n].TopicID != m.TopicID {
			all = append(all, Total{Source: source, TopicID: m.TopicID, From: m.From, To: m.From, Received: m.Received})
			n++
		}
		t := &all[n]
		t.Missing += max(m.From-t.To, 0)
		t.To = max(t.To, m.To)
		t.Files++
		t.Records += m.Records
		t.Clicks += m.Clicks
		t.Bytes += m.Bytes
		t.Received.add(m.Received.First)
		t.Received.add(m.Received.Last)
	}
	return all
}

// PrintTotals writes a line for each source.
func PrintTotals(w io.Writer, found []*Manifest) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SOURCE\tOFFSETS\tMISSING\tRECORDS\tCLICKS\tFILES\tBYTES\tRECEIVED FROM\tUNTIL")
	for _, s := range Totals(found) {
		fmt.Fprintf(t, "%s\t%d to %d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", s.Source, s.From, s.To-1, s.Missing, s.Records, s.Clicks, s.Files, s.Bytes,
			stamp(s.Received.First), stamp(s.Received.Last))
	}
	return t.Flush()
}

// PrintFiles writes a line for each file.
func PrintFiles(w io.Writer, found []*Manifest) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FILE\tRECORDS\tCLICKS\tBYTES\tRECEIVED FROM\tUNTIL")
	for _, m := range found {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\n", m.File, m.Records, m.Clicks, m.Bytes, stamp(m.Received.First), stamp(m.Received.Last))
	}
	return t.Flush()
}

// PrintJSON writes totals and manifests as one object.
func PrintJSON(w io.Writer, found []*Manifest) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Sources []Total     `json:"sources"`
		Files   []*Manifest `json:"files"`
	}{append([]Total{}, Totals(found)...), append([]*Manifest{}, found...)})
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05Z") }
