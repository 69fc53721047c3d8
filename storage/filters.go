package storage

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/clickagg/clickagg/internal/click"
)

// Filter is a row of the filter table, the dimension that the filter of a count
// refers to: by which predicate clicks were counted under an identifier, and in which
// stretch of event time. A row is named by its identifier and From.
type Filter struct {
	ID    string // as in click.Result.Filter
	Name  string
	Where string // the predicate, in the filter language
	From  int64  // Unix ms
	// Until is where it ends, Unix ms, not in it, and click.None while it has no end. A
	// filter that was replaced before it held ends where it begins.
	Until   int64
	Version int64 // position in the control topic, not negative; the greatest wins
}

// The times a row may have: those of the years 0 to 9999.
const (
	earliest = -62_167_219_200_000
	latest   = 253_402_300_799_999
)

// Valid tells whether a row can be stored: it has an identifier without zero bytes, text in
// UTF-8, a version that is not negative, and times of the years 0 to 9999 in their order.
func (f *Filter) Valid() bool {
	return f.ID != "" && !strings.ContainsRune(f.ID, 0) && utf8.ValidString(f.ID) && utf8.ValidString(f.Name) && utf8.ValidString(f.Where) &&
		f.Version >= 0 && f.From >= earliest && f.From <= latest &&
		(f.Until == click.None || f.Until >= f.From && f.Until <= latest)
}

// FilterStore keeps the filter table. Rows are never deleted, as counts refer to them. It
// is safe for concurrent use.
type FilterStore interface {
	// PutFilters stores rows, durably when it returns nil. The greatest version of a row
	// wins; an equal version has equal content, and storing it again changes nothing.
	// After an error any of them may have been stored. A row that is not [Filter.Valid] is
	// ErrInvalid, and then nothing is stored.
	PutFilters(ctx context.Context, rows []Filter) error
	// Filters lists all rows in the order of identifiers' bytes, then of time.
	Filters(ctx context.Context) ([]Filter, error)
}
