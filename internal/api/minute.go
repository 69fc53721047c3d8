package api

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Minute answers whether a window is final, and if not, what it waits for.
type Minute struct {
	StartTime     time.Time   `json:"start_time"`
	ToTime        time.Time   `json:"to_time"`        // exclusive
	Status        string      `json:"status"`         // Final or Provisional
	CompleteUntil *time.Time  `json:"complete_until"` // nil when not known
	WaitingFor    []Unready   `json:"waiting_for"`    // parts that must get further before it is final; none when it is
	Account       *Accounting `json:"account"`        // of all sources of Lineage together; nil without one
	Lineage       *Lineage    `json:"lineage"`        // nil while the window is open, and when it has no click
}

func (s *Server) minute(w http.ResponseWriter, c *call) error {
	text, err := url.PathUnescape(c.segment)
	if err != nil {
		return badTime.about("minute", "%s is not percent-encoded", quote(c.segment))
	}
	at, err := parseTime("minute", text, s.now())
	if err != nil {
		return err
	}
	size := s.answers.Window().Milliseconds()
	f, err := s.answers.Frame(c.Context(), at, at+size)
	if err != nil {
		return err
	}
	l, _, ok, err := s.answers.Lineage(c.Context(), at)
	if err != nil {
		return err
	}
	m := Minute{
		StartTime: *Time(f.From), ToTime: *Time(f.To), Status: statusOf(f), CompleteUntil: Time(f.CompleteUntil), WaitingFor: []Unready{},
	}
	switch {
	case f.Held():
		m.WaitingFor = []Unready{{Part: "correction", Reason: "its counts are being corrected by a replay or a repair"}}
	case !f.Final():
		st := s.status()
		m.WaitingFor = waitingFor(&st, s.now(), m.ToTime)
	}
	if ok {
		m.Lineage = new(lineageOf(&l))
		m.Account = new(total(m.Lineage))
	}
	same := m
	if m.Status == Final {
		same.CompleteUntil = nil
	}
	return offer(w, c, m, same, askAgain)
}

// total is the account of all sources of a lineage together.
func total(l *Lineage) Accounting {
	t := Accounting{Holds: l.Holds}
	for i := range l.Sources {
		a := &l.Sources[i].Accounting
		t.Received += a.Received
		t.Marks += a.Marks
		t.Late += a.Late
		t.Rejected += a.Rejected
		t.Counted += a.Counted
		t.Duplicate += a.Duplicate
		t.Conflict += a.Conflict
		t.Crowded += a.Crowded
		t.Stale += a.Stale
	}
	return t
}

// notWaitedFor is the role that no window waits for: it only keeps.
const notWaitedFor = "raw"

// waitingFor names what must get further before the window that ends at a moment is
// final: of the first stage of the pipeline that has not got there, the parts that
// have not, since all stages behind it wait for it.
func waitingFor(st *Status, now, end time.Time) []Unready {
	if now.Before(end) {
		return []Unready{{Part: "clock", Reason: "the window ends at " + end.Format(time.RFC3339)}}
	}
	for i := range st.Roles {
		r := &st.Roles[i]
		if r.Name == notWaitedFor {
			continue
		}
		if parts := behind(r, end); len(parts) > 0 {
			return parts
		}
	}
	return []Unready{{Part: "store", Reason: "the last marks of completeness are on their way"}}
}

// behind lists the partitions of a role that have not got to a moment. One that has a
// standby has got as far as the further of both. What has no watermark has got there
// when it has read all there is.
func behind(r *Role, end time.Time) []Unready {
	type key struct {
		topic  string
		number int32
	}
	there := map[key]bool{}
	marked := false
	for i := range r.Partitions {
		p := &r.Partitions[i]
		marked = marked || p.Watermark != nil
		there[key{p.Topic, p.Partition}] = there[key{p.Topic, p.Partition}] || p.Watermark != nil && !p.Watermark.Before(end)
	}
	var parts []Unready
	for i := range r.Partitions {
		p := &r.Partitions[i]
		if there[key{p.Topic, p.Partition}] || !marked && p.Lag == 0 && p.HoldsBack == "" {
			continue
		}
		reason := cmp.Or(p.HoldsBack, p.State)
		switch {
		case reason != "":
		case p.Watermark != nil:
			reason = "its watermark is at " + p.Watermark.Format(time.RFC3339)
		default:
			reason = fmt.Sprintf("%d records are yet to be read", p.Lag)
		}
		parts = append(parts, Unready{Part: fmt.Sprintf("%s %s/%d", r.Name, p.Topic, p.Partition), Reason: reason})
	}
	return parts
}
