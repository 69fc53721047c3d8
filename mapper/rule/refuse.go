package rule

import "github.com/clickagg/clickagg/internal/click"

// Refuse rejects all offsets from the next one up to, not including, end: the
// log has records there that nobody can read. Each offset counts as one record.
func (p *Partition) Refuse(end int64) {
	n := end - p.s.Next
	if n <= 0 {
		return
	}
	p.s.Next = end
	p.s.Account.Received += n
	p.s.Account.Rejected[click.BadBatch] += n
	p.records += int(n)
}
