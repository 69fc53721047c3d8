package gen

// held keeps the copies that are still to come: a heap of the numbers of the
// events they replace, over slots whose buffers are used again.
type held struct {
	order []turn
	slots []clickCopy
	spare []int
}

// turn says which slot is due at which event.
type turn struct {
	event int64
	slot  int
}

type clickCopy struct {
	value []byte
	at    int64
	kind  Kind
}

func (h *held) due(event int64) bool { return len(h.order) > 0 && h.order[0].event <= event }

// push takes a slot that is due at an event. Its value is a buffer to use again.
func (h *held) push(event int64) *clickCopy {
	if len(h.spare) == 0 {
		h.spare = append(h.spare, len(h.slots))
		h.slots = append(h.slots, clickCopy{})
	}
	slot := h.spare[len(h.spare)-1]
	h.spare = h.spare[:len(h.spare)-1]
	h.order = append(h.order, turn{event, slot})
	for i := len(h.order) - 1; i > 0; {
		parent := (i - 1) / 2
		if h.order[parent].event <= h.order[i].event {
			break
		}
		h.order[parent], h.order[i] = h.order[i], h.order[parent]
		i = parent
	}
	return &h.slots[slot]
}

// pop takes the first turn; its slot stays in use until it is freed.
func (h *held) pop() (slot int) {
	slot = h.order[0].slot
	last := len(h.order) - 1
	h.order[0] = h.order[last]
	h.order = h.order[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return slot
		}
		if child+1 < last && h.order[child+1].event < h.order[child].event {
			child++
		}
		if h.order[i].event <= h.order[child].event {
			return slot
		}
		h.order[i], h.order[child] = h.order[child], h.order[i]
		i = child
	}
}

func (h *held) free(slot int) { h.spare = append(h.spare, slot) }
