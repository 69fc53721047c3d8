package ops

import (
	"encoding/json"
	"net/http"

	"github.com/clickagg/clickagg/internal/api"
)

// Health is how a process is. Its functions are called by many goroutines at once,
// answer at once, and are never nil.
type Health struct {
	// Alive returns why the process makes no progress, or nil. Waiting for a server
	// that is away is no reason: a restart would not help.
	Alive func() error
	// Unready lists the parts that do not do their work yet, or any more.
	Unready func() []api.Unready
}

// live answers /livez in the API's words.
func (h Health) live(w http.ResponseWriter, _ *http.Request) {
	answer := struct {
		Live   bool   `json:"live"`
		Reason string `json:"reason,omitempty"`
	}{Live: true}
	if err := h.Alive(); err != nil {
		answer.Live, answer.Reason = false, err.Error()
	}
	write(w, answer.Live, answer)
}

// ready answers /readyz in the API's words.
func (h Health) ready(w http.ResponseWriter, _ *http.Request) {
	answer := api.Readiness{Ready: true, NotReady: []api.Unready{}}
	if parts := h.Unready(); len(parts) > 0 {
		answer = api.Readiness{NotReady: parts}
	}
	write(w, answer.Ready, answer)
}

func write(w http.ResponseWriter, well bool, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !well {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // the client may have gone
}
