package writer

import (
	"slices"
	"testing"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/storage"
)

const minute, hour = 60_000, 3_600_000

func (w *world) wantTouches(want ...storage.Touch) {
	w.t.Helper()
	if err := w.run(w.config()); err != nil || !slices.Equal(w.touches, want) {
		w.t.Errorf("%+v, %v, want %+v", w.touches, err, want)
	}
}

func touched(hours, offset int64) storage.Touch {
	return storage.Touch{Hour: hours * hour, Partition: mine, Offset: offset}
}

// TestTouches: what comes of a window after all reducers closed it touches its hour, and
// nothing else does.
func TestTouches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.reads = []int{1, 100} // with the first, the store is asked
	w.result("a", 0, 1, 1)
	w.result("a", -minute, 1, 1)
	w.closes(hour, "0/2")
	w.result("a", 0, 2, 2) // the other reducer has not closed it
	w.mark(9*hour, "1/2")  // nor does it say so here
	w.result("a", 0, 3, 3)
	w.closes(2*minute, "1/2")
	w.result("a", 2*minute, 1, 4) // open
	w.result("b", minute, 1, 4)   // offset 8
	w.result("b", -minute, 1, 5)  // offset 9
	w.closes(2*hour, "0/2")
	w.closes(2*hour, "1/2")
	w.result("b", 0, 1, 6)               // offset 12
	w.result("c", 2*hour-minute, 1, 6)   // offset 13
	w.result("c", 2*hour-minute/2, 1, 6) // ends later
	w.wantTouches(touched(0, 13), touched(-1, 10), touched(1, 14))
}

// TestTouchesAfterARestart: the marks before the first record are those of the store.
func TestTouchesAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refused = storage.ErrUnavailable // it is asked again
	for partition := range int32(3) {
		w.kept = append(w.kept, storage.Mark{Partition: partition, Partitions: 3, Reducers: 1, Watermark: hour, Closed: int64(partition) * minute})
	}
	w.kept = append(w.kept, storage.Mark{Partition: mine, Partitions: 1, Reducers: 1, Watermark: 9 * hour, Closed: 9 * hour})
	w.reads = []int{3, 1}
	w.result("a", minute, 1, 1)
	w.result("a", 2*minute, 1, 1)
	w.result("b", 0, 1, 1)
	w.result("c", 0, 1, 2)
	w.wantTouches(touched(0, 3), touched(0, 4))
}

// TestTouchesWhileReducersJoin: what two reducers closed stays closed while the third says nothing.
func TestTouchesWhileReducersJoin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.closes(hour, "0/2")
	w.closes(hour, "1/2")
	w.closes(hour, "0/3")
	w.result("a", 0, 1, 1)
	w.wantTouches(touched(0, 4))
}

// TestNothingIsTouchedBefore: a store without marks has nothing that is closed.
func TestNothingIsTouchedBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.result("a", -hour, 1, 1)
	w.mark(hour, "0/1")
	w.result("a", 0, 1, 2)
	w.wantTouches()
	if closed := w.marks[0].Closed; closed != click.None {
		t.Errorf("closed until %d", closed)
	}
}

func TestMarksSayWhatIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.closes(-7, "0/1")
	w.wantTouches()
	if len(w.marks) != 1 || w.marks[0].Closed != -7 || w.marks[0].Watermark != 59_993 {
		t.Errorf("%+v", w.marks)
	}
	w.mark(1, "0/1", click.Header{Key: click.HeaderClosed, Value: []byte("soon")})
	if err := w.run(w.config()); err == nil {
		t.Error("a mark that cannot be read was taken")
	}
}

// TestMarksSayWhatIsHeld: the beginning and the end of a hold are stored with their marks.
func TestMarksSayWhatIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mark(hour, "0/1", click.Header{Key: click.HeaderHold, Value: []byte("2/0/60000/open")})
	w.mark(hour, "0/1", click.Header{Key: click.HeaderHold, Value: []byte("2/0/60000/done")})
	w.wantTouches()
	hold := click.Hold{Number: 2, To: minute}
	if len(w.marks) != 2 || w.marks[0].Hold != hold || !w.marks[1].Hold.Done || w.marks[1].Watermark != hour {
		t.Errorf("%+v", w.marks)
	}
	w.mark(hour, "0/1", click.Header{Key: click.HeaderHold, Value: []byte("2/0/60000")})
	if err := w.run(w.config()); err == nil {
		t.Error("a hold that cannot be read was taken")
	}
}
