package api

import (
	"net/http"
	"time"
)

// Status is how the parts of an installation are.
type Status struct {
	At            time.Time        `json:"at"`                   // when this was so
	CompleteUntil *time.Time       `json:"complete_until"`       // every window that ends by then is final in the store
	HoldsBack     string           `json:"holds_back,omitempty"` // what keeps complete_until from moving on
	Roles         []Role           `json:"roles"`                // in the order of the pipeline
	Accounting    []Accounting     `json:"accounting"`           // one per source
	Rejected      map[string]int64 `json:"rejected"`             // records refused, by reason
	Hot           []HotAd          `json:"hot"`                  // ads that are spread over several shards, or pinned
}

// HotAd is an ad that is spread over several shards, or pinned by an operator.
type HotAd struct {
	Ad       string    `json:"ad_id"`
	Shards   int32     `json:"shards"`   // over how many its clicks go
	From     time.Time `json:"from"`     // event time from which it is so
	Since    time.Time `json:"since"`    // when it was decided
	Pinned   bool      `json:"pinned"`   // whether shards leave it as it is
	Operator bool      `json:"operator"` // whether an operator decided, and not a shard
}

// Role is one role of the installation.
type Role struct {
	Name       string      `json:"name"`
	Partitions []Partition `json:"partitions"`
}

// Partition is how far a role is with one partition of what it reads.
type Partition struct {
	Topic       string     `json:"topic"`
	Partition   int32      `json:"partition"`
	Group       string     `json:"group,omitempty"` // standby group of a shard; none for the first set
	State       string     `json:"state,omitempty"` // what it does now, in a word or two
	Next        int64      `json:"next"`            // offset it reads next; negative when not known
	End         int64      `json:"end"`             // offset after the last record; negative when not known
	Lag         int64      `json:"lag"`             // records it has yet to read; negative when not known
	Watermark   *time.Time `json:"watermark"`
	HoldsBack   string     `json:"holds_back,omitempty"`   // what keeps the watermark from moving on
	WindowsOpen int64      `json:"windows_open,omitempty"` // windows that can still change
	IDs         int64      `json:"ids,omitempty"`          // event ids remembered
	Ads         int64      `json:"ads,omitempty"`          // ads in the open windows
	Unsaid      int64      `json:"unsaid,omitempty"`       // windows whose newest counts were not sent on yet
}

// Accounting says what became of every record of one source: received = marks +
// late + rejected + counted + duplicate + conflict + crowded + stale + pending.
type Accounting struct {
	Source    string `json:"source,omitempty"` // topic/partition; empty for all together
	Received  int64  `json:"received"`
	Marks     int64  `json:"marks"` // watermark records and tombstones: no clicks
	Late      int64  `json:"late"`
	Rejected  int64  `json:"rejected"`
	Counted   int64  `json:"counted"`
	Duplicate int64  `json:"duplicate"`
	Conflict  int64  `json:"conflict"`
	Crowded   int64  `json:"crowded"`
	Stale     int64  `json:"stale"`
	Pending   int64  `json:"pending"` // routed to the shards and not yet judged by them
	Holds     bool   `json:"holds"`   // whether nothing is missing and nothing is twice
}

// Unready is a part that does not do its work yet, or any more.
type Unready struct {
	Part   string `json:"part"`
	Reason string `json:"reason"`
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready    bool      `json:"ready"`
	NotReady []Unready `json:"not_ready"`
}

func (s *Server) serveStatus(w http.ResponseWriter, _ *call) error {
	st := s.status()
	// An empty list is [] and not null: programs iterate over it.
	if st.Roles == nil {
		st.Roles = []Role{}
	}
	if st.Accounting == nil {
		st.Accounting = []Accounting{}
	}
	if st.Hot == nil {
		st.Hot = []HotAd{}
	}
	if st.Rejected == nil {
		st.Rejected = map[string]int64{}
	}
	return writeJSON(w, http.StatusOK, st)
}

func (s *Server) serveLive(w http.ResponseWriter, _ *call) error {
	return writeJSON(w, http.StatusOK, struct {
		Live bool `json:"live"`
	}{true})
}

func (s *Server) serveReady(w http.ResponseWriter, _ *call) error {
	parts := s.ready()
	if len(parts) == 0 {
		return writeJSON(w, http.StatusOK, Readiness{Ready: true, NotReady: []Unready{}})
	}
	return writeJSON(w, http.StatusServiceUnavailable, Readiness{NotReady: parts})
}
