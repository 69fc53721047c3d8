package assign

import (
	"cmp"
	"slices"
)

// Partition names one partition of a topic.
type Partition struct {
	Topic  string
	Number int32
}

// Compare orders partitions by topic and number.
func (p Partition) Compare(q Partition) int {
	return cmp.Or(cmp.Compare(p.Topic, q.Topic), cmp.Compare(p.Number, q.Number))
}

// Claim is what a member says of itself when it joins.
type Claim struct {
	Member string   // its name, the same for as long as it lives; unique in the group
	Topics []string // what it works on; for Kafka's tools only
	// Generation is the one in which the member was given what it owns. Of two
	// members that claim a partition the one with the newer generation has it.
	Generation int32
	Owned      []Partition // what it works on now
}

// hand is what a member holds while partitions are shared out.
type hand struct {
	at      int // its claim
	quota   int
	held    []Partition
	ofTopic map[string]int
}

// Share shares the partitions out and returns each member's, sorted, in the order
// of the claims. Claims of partitions that are not listed are void, and a partition
// that is listed twice is one. Without a member there is nothing to return.
func Share(claims []Claim, partitions []Partition) [][]Partition {
	if len(claims) == 0 {
		return nil
	}
	all := slices.Clone(partitions)
	slices.SortFunc(all, Partition.Compare)
	all = slices.Compact(all)

	hands := byName(claims)
	free := deal(hands, owners(claims, hands, all), all)
	setQuotas(hands, len(all))
	for i := range hands {
		free = append(free, hands[i].shed()...)
	}
	slices.SortFunc(free, Partition.Compare)
	for _, p := range free {
		neediest(hands, p.Topic).take(p)
	}
	shares := make([][]Partition, len(claims))
	for _, h := range hands {
		slices.SortFunc(h.held, Partition.Compare)
		shares[h.at] = h.held
	}
	return shares
}

// byName is an empty hand for each claim, in the order of the members' names.
func byName(claims []Claim) []hand {
	hands := make([]hand, len(claims))
	for i := range hands {
		hands[i] = hand{at: i, ofTopic: make(map[string]int)}
	}
	slices.SortStableFunc(hands, func(a, b hand) int { return cmp.Compare(claims[a.at].Member, claims[b.at].Member) })
	return hands
}

// owners says which hand each claimed partition lies in.
func owners(claims []Claim, hands []hand, all []Partition) map[Partition]int {
	owner := make(map[Partition]int, len(all))
	for i, h := range hands {
		for _, p := range claims[h.at].Owned {
			j, claimed := owner[p]
			if !claimed || claims[h.at].Generation > claims[hands[j].at].Generation {
				owner[p] = i
			}
		}
	}
	return owner
}

// deal gives every partition to its owner and returns those without one.
func deal(hands []hand, owner map[Partition]int, all []Partition) (free []Partition) {
	for _, p := range all {
		if i, owned := owner[p]; owned {
			hands[i].take(p)
		} else {
			free = append(free, p)
		}
	}
	return free
}

// setQuotas lets those who hold most have the partitions that are left over when all
// have the same number: nothing else keeps as many where they are.
func setQuotas(hands []hand, partitions int) {
	byHeld := make([]*hand, len(hands))
	for i := range hands {
		hands[i].quota = partitions / len(hands)
		byHeld[i] = &hands[i]
	}
	slices.SortStableFunc(byHeld, func(a, b *hand) int { return cmp.Compare(len(b.held), len(a.held)) })
	for _, h := range byHeld[:partitions%len(hands)] {
		h.quota++
	}
}

func (h *hand) take(p Partition) {
	h.held = append(h.held, p)
	h.ofTopic[p.Topic]++
}

// shed gives up what is over the quota, each time of the topic of which most is
// held. What is held is sorted.
func (h *hand) shed() (given []Partition) {
	for len(h.held) > h.quota {
		most := 0 // the last one of the topic of which most is held
		for i, p := range h.held {
			if h.ofTopic[p.Topic] >= h.ofTopic[h.held[most].Topic] {
				most = i
			}
		}
		given = append(given, h.held[most])
		h.ofTopic[h.held[most].Topic]--
		h.held = slices.Delete(h.held, most, most+1)
	}
	return given
}

// neediest is the member that is to have the next partition of a topic: with few of
// that topic, and with much room.
func neediest(hands []hand, topic string) *hand {
	var best *hand
	for i := range hands {
		h := &hands[i]
		if len(h.held) == h.quota {
			continue
		}
		if best == nil || cmp.Or(
			cmp.Compare(h.ofTopic[topic], best.ofTopic[topic]),
			cmp.Compare(best.quota-len(best.held), h.quota-len(h.held)),
		) < 0 {
			best = h
		}
	}
	return best
}
