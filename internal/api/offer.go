package api

import (
	"bytes"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/zeebo/xxh3"
)

// How answers are kept by whoever asked.
const (
	askAgain  = "private, no-cache" // kept, and asked for again each time: 304 when nothing changed
	keepMost  = 24 * time.Hour
	keepShare = 10 // of the age of what was asked
)

// keepFor is for how long the answer to a question about [from, to) may be used again.
// What is final can still be corrected, the sooner the younger it is; so it is kept for
// a tenth of its age. What may still grow, or moves with the clock, is asked for again.
func keepFor(f *Frame, q *asked, now time.Time) string {
	if f.Status != Final || !q.fixed {
		return askAgain
	}
	seconds := int(min(now.Sub(f.ToTime)/keepShare, keepMost).Seconds())
	if seconds <= 0 {
		return askAgain
	}
	return fmt.Sprintf("private, max-age=%d", seconds)
}

// offer answers with v, and with 304 if the client has it. The tag is of what the
// answer says apart from how far the store is complete, which moves on when nothing
// else does: same is the answer without that. It is weak, since what is compressed has
// it too.
func offer(w http.ResponseWriter, c *call, v, same any, keep string) error {
	said, err := encode(same)
	if err != nil {
		return err
	}
	sum := xxh3.Hash128(said).Bytes()
	tag := `W/"` + base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", keep)
	if has(c.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return writeJSON(w, http.StatusOK, v)
}

// has tells whether one of the tags of a request's If-None-Match is this one.
func has(values []string, tag string) bool {
	for _, v := range strings.Split(strings.Join(values, ","), ",") {
		if v = strings.TrimSpace(v); v == "*" || "W/"+strings.TrimPrefix(v, "W/") == tag {
			return true
		}
	}
	return false
}

// encode writes JSON as all answers have it: ids look as they do everywhere else.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// accepts tells whether a client that sent these Accept headers takes one of some
// media types. One that sent none takes all.
func accepts(headers []string, offers []string) bool {
	all := strings.Join(headers, ",")
	if strings.Trim(all, ", ") == "" {
		return true
	}
	for _, a := range strings.Split(all, ",") {
		media, params, err := mime.ParseMediaType(a)
		if q, qErr := strconv.ParseFloat(params["q"], 64); err != nil || qErr == nil && q == 0 {
			continue
		}
		for _, offer := range offers {
			kind, _, _ := strings.Cut(offer, "/")
			if media == offer || media == "*/*" || media == kind+"/*" {
				return true
			}
		}
	}
	return false
}
