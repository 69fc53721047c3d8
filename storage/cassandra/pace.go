package cassandra

import "sync/atomic"

// leastAtOnce is how many requests one call sends at once however ill the servers are.
const leastAtOnce = 4

// pace is how many requests one call sends at once. Servers that are overloaded
// give up what takes them too long, and would do so for ever if the same number
// came again: after a failure half as many are sent, after a success an eighth more.
type pace struct {
	now  atomic.Int64
	most int64
}

func newPace(most int) *pace {
	p := &pace{most: int64(most)}
	p.now.Store(p.most)
	return p
}

// width is at least 1.
func (p *pace) width() int { return int(p.now.Load()) }

func (p *pace) failed() { p.now.Store(max(p.now.Load()/2, min(leastAtOnce, p.most))) }

func (p *pace) done() {
	if now := p.now.Load(); now < p.most {
		p.now.Store(min(now+now/8+1, p.most))
	}
}
