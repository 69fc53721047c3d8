package click

import "math/bits"

// Sum is a number of clicks and the digest of their identities: the sum of
// [ID.Digest] over all of them, modulo 2^64. It has no order, and the sums of parts add up to
// that of the whole. Two lots of as many clicks that are not the same have the same digest by a
// chance of 2^-64.
//
// No click has the digest 0. Of some clicks 0 means unknown: a release that had no digests
// counted one of them.
type Sum struct {
	Count  int64
	Digest uint64
}

// Add adds other clicks. What is unknown stays so.
func (s *Sum) Add(o Sum) {
	if s.Known() && o.Known() {
		s.Digest += o.Digest
	} else {
		s.Digest = 0
	}
	s.Count += o.Count
}

// Known tells whether the digest is that of the clicks.
func (s Sum) Known() bool { return s.Digest != 0 || s.Count == 0 }

// Digest mixes an identity to 64 bits. Identities are keyed hashes already, of the ad too; the
// multiplication lets it live with any. Stored digests are made of it: it is for ever.
func (id ID) Digest() uint64 {
	hi, lo := bits.Mul64(id.Hi^0x9e3779b97f4a7c15, id.Lo^0xe7037ed1a0b428db)
	return hi ^ lo
}
