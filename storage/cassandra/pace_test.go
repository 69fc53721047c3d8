package cassandra

import "testing"

func TestPace(t *testing.T) {
	t.Parallel()
	p := newPace(128)
	for range 10 {
		p.failed()
	}
	if p.width() != leastAtOnce {
		t.Errorf("%d at once while the servers are ill", p.width())
	}
	tries := 0
	for ; p.width() < 128; tries++ {
		p.done()
	}
	if p.done(); p.width() != 128 || tries < 10 || tries > 40 {
		t.Errorf("%d at once after %d successes", p.width(), tries)
	}
	if p := newPace(1); p.width() != 1 {
		t.Error("more than the most")
	} else if p.failed(); p.width() != 1 {
		t.Errorf("%d of 1", p.width())
	}
}
