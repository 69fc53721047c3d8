package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codec is how the records of a batch are packed. The numbers are Kafka's.
type Codec uint8

// The codecs. All are read; None, LZ4 and Zstd are written.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// String is the codec's name as in Kafka's configuration.
func (c Codec) String() string {
	if int(c) >= len(codecNames) {
		return fmt.Sprintf("codec(%d)", uint8(c))
	}
	return codecNames[c]
}

// unpacker holds one decompressor of each kind, made when first needed.
type unpacker struct {
	zstd *zstd.Decoder
	gzip *gzip.Reader
	lz4  *lz4.Reader
	src  bytes.Reader
}

// append unpacks src after dst, which grows by at most limit bytes.
func (u *unpacker) append(dst []byte, codec Codec, src []byte, limit int) ([]byte, error) {
	u.src.Reset(src)
	switch codec {
	case Gzip:
		if u.gzip == nil {
			u.gzip = new(gzip.Reader)
		}
		if err := u.gzip.Reset(&u.src); err != nil {
			return dst, fmt.Errorf("gzip: %w", err)
		}
		return readInto(dst, u.gzip, codec, limit)
	case Snappy:
		return unsnappy(dst, src, limit)
	case LZ4:
		if u.lz4 == nil {
			u.lz4 = lz4.NewReader(nil)
		}
		u.lz4.Reset(&u.src)
		return readInto(dst, u.lz4, codec, limit)
	case Zstd:
		if u.zstd == nil {
			var err error
			if u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1)); err != nil {
				return dst, fmt.Errorf("zstd: %w", err)
			}
		}
		if err := u.zstd.Reset(&u.src); err != nil {
			return dst, fmt.Errorf("zstd: %w", err)
		}
		return readInto(dst, u.zstd, codec, limit)
	}
	return dst, fmt.Errorf("unknown compression %d", codec)
}

func errUnpacked(codec Codec, limit int) error {
	return fmt.Errorf("%v: batch unpacks to more than %d bytes", codec, limit)
}

// readInto reads r to its end after dst.
func readInto(dst []byte, r io.Reader, codec Codec, limit int) ([]byte, error) {
	start := len(dst)
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst)-start > limit:
			return dst, errUnpacked(codec, limit)
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, fmt.Errorf("%v: %w", codec, err)
		}
	}
}

// xerial opens the framing Java clients put around snappy: 8 bytes of magic,
// two int32 versions, then blocks, each an int32 length and a snappy block.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

func unsnappy(dst, src []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(src, xerial) {
		return snappyBlock(dst, src, limit)
	}
	start := len(dst)
	for src = src[min(16, len(src)):]; len(src) > 0; {
		if len(src) < 4 {
			return dst, errors.New("snappy: block cut short")
		}
		n := binary.BigEndian.Uint32(src)
		if uint64(n) > uint64(len(src)-4) {
			return dst, errors.New("snappy: block cut short")
		}
		var err error
		if dst, err = snappyBlock(dst, src[4:4+n], limit-(len(dst)-start)); err != nil {
			return dst, err
		}
		src = src[4+n:]
	}
	return dst, nil
}

func snappyBlock(dst, src []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return dst, fmt.Errorf("snappy: %w", err)
	}
	if n > limit {
		return dst, errUnpacked(Snappy, limit)
	}
	start := len(dst)
	for cap(dst)-start < n {
		dst = append(dst[:cap(dst)], 0)
	}
	dst = dst[:start+n]
	if _, err := s2.Decode(dst[start:], src); err != nil {
		return dst[:start], fmt.Errorf("snappy: %w", err)
	}
	return dst, nil
}

// packer holds one compressor of each kind, made when first needed.
type packer struct {
	zstd *zstd.Encoder
	lz4  *lz4.Writer
}

// sliceWriter appends what is written to it.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// append packs src after dst. The codec is LZ4 or Zstd: [Config] sees to it.
func (p *packer) append(dst []byte, codec Codec, src []byte) []byte {
	if codec == Zstd {
		if p.zstd == nil {
			p.zstd = must(zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest)))
		}
		return p.zstd.EncodeAll(src, dst)
	}
	w := sliceWriter{b: dst}
	if p.lz4 == nil {
		p.lz4 = lz4.NewWriter(nil)
		if err := p.lz4.Apply(lz4.BlockSizeOption(lz4.Block256Kb), lz4.ChecksumOption(false)); err != nil {
			panic("kafka: " + err.Error())
		}
	}
	p.lz4.Reset(&w)
	_, err := p.lz4.Write(src)
	if err == nil {
		err = p.lz4.Close()
	}
	if err != nil {
		panic("kafka: " + err.Error()) // a slice takes every write
	}
	return w.b
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("kafka: " + err.Error())
	}
	return v
}
