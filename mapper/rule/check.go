package rule

import (
	"errors"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/internal/filter"
)

// Checker reads single records as a partition would, without a log around them:
// what it refuses, a partition refuses. It belongs to one goroutine.
type Checker struct {
	decoder *decoder
	sieve   *sieve // nil without filters
	mask    uint64
}

// NewChecker makes a checker; only the fields of the configuration that say what
// a record looks like matter to it.
func NewChecker(cfg Config) *Checker { return &Checker{decoder: newDecoder(&cfg)} }

// Filter makes Check ask the filters of a set as well: see [Checker.Mask].
func (c *Checker) Filter(set *filter.Set) {
	s := newSieve(FilterSpan{Set: set})
	c.sieve = &s
}

// Mask tells which filters are true of the click that Check returned last.
func (c *Checker) Mask() uint64 { return c.mask }

// Check returns the ad, the event id and the event time in Unix ms of a record's
// value. The slices stay valid until the next call. The error says why the value
// is no click: the reason's name, the field and the place.
func (c *Checker) Check(value []byte) (ad, event []byte, ms int64, err error) {
	f, ok := c.decoder.decode(value, click.Headers{})
	if !ok {
		v := c.decoder.fault.verdict()
		return nil, nil, 0, errors.New(v.Reason.String() + ": " + v.Detail)
	}
	if c.sieve != nil {
		c.mask = c.sieve.mask(c.decoder, &f)
	}
	return f.ad, f.event, f.time, nil
}
