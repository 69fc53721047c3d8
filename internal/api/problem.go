package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/clickagg/clickagg/internal/answer"
	"github.com/clickagg/clickagg/storage"
)

// problemPage is where each kind of problem has its heading.
const problemPage = "https://github.com/clickagg/clickagg/blob/main/docs/OPERATIONS.md#"

// Problem is how the API says no (RFC 9457, application/problem+json).
type Problem struct {
	Type      string `json:"type"`                 // URL of the page about this kind of problem; ends in its stable word
	Title     string `json:"title"`                // the kind in a few words
	Status    int    `json:"status"`               // HTTP status
	Detail    string `json:"detail"`               // what is wrong this time and what to do
	Parameter string `json:"parameter,omitempty"`  // the parameter that is at fault
	RequestID string `json:"request_id,omitempty"` // the same as in the server's log; none in a stream

	retryAfter int // seconds; 0 when asking again is no use
}

// Error is the detail: it says what to do.
func (p *Problem) Error() string { return p.Detail }

// word is the stable word of its kind.
func (p *Problem) word() string { return strings.TrimPrefix(p.Type, problemPage) }

// kind is one kind of problem. Its word is stable.
type kind struct {
	word       string
	status     int
	title      string
	retryAfter int
}

var (
	notFound       = kind{"not_found", http.StatusNotFound, "No such path", 0}
	noLineage      = kind{"no_lineage", http.StatusNotFound, "Nothing stored of this window", 0}
	unauthorized   = kind{"unauthorized", http.StatusUnauthorized, "Who asks is not known", 0}
	forbidden      = kind{"forbidden", http.StatusForbidden, "Not for who asks", 0}
	tooOften       = kind{"too_often", http.StatusTooManyRequests, "Asked too often", 1}
	badMethod      = kind{"method_not_allowed", http.StatusMethodNotAllowed, "Method not allowed", 0}
	foreignHost    = kind{"foreign_host", http.StatusMisdirectedRequest, "Host is not this machine", 0}
	bodyRefused    = kind{"body_refused", http.StatusRequestEntityTooLarge, "Body refused", 0}
	notAcceptable  = kind{"not_acceptable", http.StatusNotAcceptable, "No answer of an acceptable type", 0}
	bigHeaders     = kind{"headers_too_large", http.StatusRequestHeaderFieldsTooLarge, "Headers too large", 0}
	badQuery       = kind{"bad_query", http.StatusBadRequest, "Query cannot be read", 0}
	unknownParam   = kind{"unknown_parameter", http.StatusBadRequest, "Unknown parameter", 0}
	repeated       = kind{"repeated_parameter", http.StatusBadRequest, "Repeated parameter", 0}
	badAd          = kind{"bad_ad_id", http.StatusBadRequest, "Not an ad id", 0}
	badTime        = kind{"bad_time", http.StatusBadRequest, "Time cannot be read", 0}
	badRange       = kind{"bad_range", http.StatusBadRequest, "Range of time cannot be answered", 0}
	badNumber      = kind{"bad_number", http.StatusBadRequest, "Number cannot be used", 0}
	badGranularity = kind{"bad_granularity", http.StatusBadRequest, "Granularity cannot be used", 0}
	badFormat      = kind{"bad_format", http.StatusBadRequest, "Unknown format", 0}
	badWhere       = kind{"bad_where", http.StatusBadRequest, "Predicate cannot be used", 0}
	badSource      = kind{"bad_source", http.StatusBadRequest, "Source of clicks cannot be read", 0}
	badFlag        = kind{"bad_flag", http.StatusBadRequest, "Neither true nor false", 0}
	notExact       = kind{"not_exact", http.StatusConflict, "Recount not known to be exact", 0}
	unfinished     = kind{"correction_unfinished", http.StatusConflict, "A correction has not ended", 0}
	badFilter      = kind{"unknown_filter", http.StatusBadRequest, "Unknown filter", 0}
	tooMany        = kind{"too_many_questions", http.StatusServiceUnavailable, "Too many questions at once", 1}
	tooManyStreams = kind{"too_many_streams", http.StatusServiceUnavailable, "Too many streams at once", 5}
	slowReader     = kind{"slow_reader", http.StatusServiceUnavailable, "Reader too slow", 1}
	storeAway      = kind{"store_unavailable", http.StatusServiceUnavailable, "Store unavailable", 5}
	tooSlow        = kind{"too_slow", http.StatusServiceUnavailable, "Question took too long", 5}
	interrupted    = kind{"interrupted", http.StatusServiceUnavailable, "Question interrupted", 5}
	internal       = kind{"internal", http.StatusInternalServerError, "Internal error", 0}
)

// about makes a problem of this kind. Text from outside goes in through quote.
func (k kind) about(parameter, format string, args ...any) *Problem {
	return &Problem{
		Type: problemPage + k.word, Title: k.title, Status: k.status,
		Detail: fmt.Sprintf(format, args...), Parameter: parameter, retryAfter: k.retryAfter,
	}
}

// problemOf says what a client may know of an error; the log has the rest.
func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	switch {
	case errors.Is(err, answer.ErrNoWindow):
		return badRange.about("", "both ends lie in the same window, and a window is counted whole; ask for a longer range")
	case errors.Is(err, answer.ErrTooManyAds):
		return badRange.about("", "more than %d ads have clicks in the range, and each would have to be added up; ask for a shorter one", answer.AdsMost)
	case errors.Is(err, context.DeadlineExceeded):
		return tooSlow.about("", "the question took longer than %v; ask for a shorter range", questionTimeout)
	case errors.Is(err, context.Canceled):
		return interrupted.about("", "the question was interrupted; ask again")
	case errors.Is(err, storage.ErrUnavailable):
		return storeAway.about("", "the store cannot be reached now; ask again in a moment")
	}
	return internal.about("", "an error of the server; its log names it under this request_id")
}

func (p *Problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", mediaProblem)
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	w.WriteHeader(p.Status)
	// A client that has gone does not read this; there is nothing else to tell it.
	_ = json.NewEncoder(w).Encode(p)
}

// quote makes text from outside fit to be shown: on one line, without control
// characters, not too long.
func quote(s string) string {
	if len(s) > adBytesMax {
		s = s[:adBytesMax] + "…"
	}
	return strconv.QuoteToGraphic(s)
}
