package click

import "github.com/zeebo/xxh3"

// Router decides which shard a click belongs to and what its identity is. Both
// are hashes keyed with the cluster's secret: equal in every process of the
// cluster, and not to be computed by someone who would like to send every click
// of a flood to one shard. The zero Router is a valid one with the secret 0.
type Router struct {
	secret uint64
	shards uint64
}

// NewRouter makes the router of a cluster with a fixed number of shards, at least 1.
func NewRouter(secret uint64, shards int32) Router {
	return Router{secret: secret, shards: uint64(shards)}
}

// Route returns the shard of an ad and the identity of a click within the ad.
// An event id names one click per ad: the same id under two ads is two clicks,
// because they may live in two shards.
func (r Router) Route(ad, eventID []byte) (shard int32, id ID) {
	h := xxh3.HashSeed(ad, r.secret)
	u := xxh3.Hash128Seed(eventID, h)
	// The high half chooses the shard by multiplication, which is even for any
	// number of shards.
	return int32((h >> 32) * r.shards >> 32), ID{Hi: u.Hi, Lo: u.Lo}
}

// OneShard is the router of the same cluster if it had one shard: it gives clicks the same
// identities.
func (r Router) OneShard() Router { return NewRouter(r.secret, 1) }

// Home returns the shard of an ad, which is that of all its clicks unless it is spread.
func (r Router) Home(ad []byte) int32 {
	return int32((xxh3.HashSeed(ad, r.secret) >> 32) * r.shards >> 32)
}

// Check is the 32-bit hash of a record's bytes that tells a repeat from a conflict.
func Check(record []byte) uint32 { return uint32(xxh3.Hash(record)) }

// HashAd hashes an ad for a table in memory. With a seed that nobody outside
// knows, nobody can choose ads that collide.
func HashAd(ad []byte, seed uint64) uint64 { return xxh3.HashSeed(ad, seed) }
