package assign

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// The versions of Kafka's consumer protocol that are written and taken.
const (
	claimVersion = 2 // the first that carries a generation
	shareVersion = 0
)

// What a decoder takes, so that no bytes make it take much memory.
const (
	PartitionsMax = 100_000 // of one member
	topicMax      = 249     // bytes of a topic's name, as in Kafka
	topicsMax     = 20_000
)

// ErrMalformed is the error of bytes that no encoder here wrote.
var ErrMalformed = errors.New("not of this version's form")

// Append appends the claim, without the member's name.
func (c *Claim) Append(b []byte) []byte {
	topics := slices.Clone(c.Topics)
	slices.Sort(topics)
	topics = slices.Compact(topics)
	b = binary.BigEndian.AppendUint16(b, claimVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(topics)))
	for _, t := range topics {
		b = appendText(b, t)
	}
	b = append(b, null...)
	b = appendPartitions(b, c.Owned)
	return binary.BigEndian.AppendUint32(b, uint32(c.Generation))
}

// DecodeClaim reads a claim. The member's name, the topics' order and that of the
// partitions are not in it: they come out sorted.
func DecodeClaim(b []byte) (Claim, error) {
	d := reading{b: b}
	d.version(claimVersion)
	var c Claim
	for range d.count(topicsMax, 2) {
		c.Topics = append(c.Topics, d.text())
	}
	d.take(4) // no user's data
	c.Owned = d.partitions()
	c.Generation = int32(d.u32())
	if d.err == nil && !bytes.Equal(c.Append(nil), b) {
		d.err = ErrMalformed
	}
	if d.err != nil {
		return Claim{}, fmt.Errorf("claim: %w", d.err)
	}
	return c, nil
}

// AppendShare appends the partitions a member is given.
func AppendShare(b []byte, share []Partition) []byte {
	b = binary.BigEndian.AppendUint16(b, shareVersion)
	b = appendPartitions(b, share)
	return append(b, null...)
}

// DecodeShare reads what a member is given, sorted.
func DecodeShare(b []byte) ([]Partition, error) {
	d := reading{b: b}
	d.version(shareVersion)
	share := d.partitions()
	if d.err == nil && !bytes.Equal(AppendShare(nil, share), b) {
		d.err = ErrMalformed
	}
	if d.err != nil {
		return nil, fmt.Errorf("share: %w", d.err)
	}
	return share, nil
}

var null = []byte{0xff, 0xff, 0xff, 0xff} // the length of bytes that are not there

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// appendPartitions appends the numbers of each topic, sorted.
func appendPartitions(b []byte, partitions []Partition) []byte {
	sorted := slices.Clone(partitions)
	slices.SortFunc(sorted, Partition.Compare)
	sorted = slices.Compact(sorted)
	topicsAt, topics := len(b), 0
	b = binary.BigEndian.AppendUint32(b, 0)
	for i := 0; i < len(sorted); topics++ {
		end := i
		for end < len(sorted) && sorted[end].Topic == sorted[i].Topic {
			end++
		}
		b = appendText(b, sorted[i].Topic)
		b = binary.BigEndian.AppendUint32(b, uint32(end-i))
		for ; i < end; i++ {
			b = binary.BigEndian.AppendUint32(b, uint32(sorted[i].Number))
		}
	}
	binary.BigEndian.PutUint32(b[topicsAt:], uint32(topics))
	return b
}

// reading walks bytes and remembers their first fault.
type reading struct {
	b   []byte
	err error
}

// take returns the next n bytes, or nil after a fault.
func (d *reading) take(n int) []byte {
	if d.err == nil && n > len(d.b) {
		d.err = ErrMalformed
	}
	if d.err != nil {
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *reading) u16() uint16 {
	if v := d.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (d *reading) u32() uint32 {
	if v := d.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (d *reading) version(want uint16) {
	if v := d.u16(); d.err == nil && v != want {
		d.err = fmt.Errorf("version %d is not known here, only %d", v, want)
	}
}

// count reads how many follow, of at least so many bytes each.
func (d *reading) count(most, each int) int {
	n := int64(d.u32())
	if d.err == nil && (n > int64(most) || n*int64(each) > int64(len(d.b))) {
		d.err = ErrMalformed
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

func (d *reading) text() string {
	n := int(d.u16())
	if d.err == nil && (n == 0 || n > topicMax) {
		d.err = ErrMalformed
	}
	return string(d.take(n))
}

func (d *reading) partitions() (all []Partition) {
	for range d.count(topicsMax, 2+4) {
		topic := d.text()
		for range d.count(PartitionsMax-len(all), 4) {
			p := Partition{Topic: topic, Number: int32(d.u32())}
			if d.err == nil && p.Number < 0 {
				d.err = ErrMalformed
			}
			all = append(all, p)
		}
	}
	return all
}
