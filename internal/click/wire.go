package click

import "encoding/binary"

// AppendBytes encodes a length and as many bytes. Read it with [Decoder.Bytes] or [Decoder.Text].
func AppendBytes[T []byte | string](b []byte, v T) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

// AppendTotal encodes a number that is never negative. Read it with [Decoder.Total].
func AppendTotal(b []byte, v int64) []byte { return binary.AppendUvarint(b, uint64(v)) }

// AppendTime encodes a time in Unix milliseconds or [None]. Read it with [Decoder.Time].
func AppendTime(b []byte, ms int64) []byte {
	if ms == None {
		return append(b, 0)
	}
	return binary.AppendVarint(append(b, 1), ms)
}

// AppendFlag encodes a yes or no. Read it with [Decoder.Flag].
func AppendFlag(b []byte, yes bool) []byte {
	if yes {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendSource(b []byte, s Source) []byte {
	b = append(b, s.ID[:]...)
	b = binary.AppendUvarint(b, uint64(s.Partition))
	return AppendBytes(b, s.Topic)
}

// AppendAccount encodes the account; it is part of sections, partials and the
// mapper's committed position.
func AppendAccount(b []byte, a *Account) []byte {
	for _, v := range [...]int64{a.Skipped, a.Received, a.Marks, a.Late, a.Routed} {
		b = AppendTotal(b, v)
	}
	last := len(a.Rejected)
	for last > 0 && a.Rejected[last-1] == 0 {
		last--
	}
	b = append(b, byte(last))
	for _, v := range a.Rejected[:last] {
		b = AppendTotal(b, v)
	}
	return b
}
