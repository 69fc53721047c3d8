package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// ErrUnpacked: a compressed input holds more than it may.
var ErrUnpacked = errors.New("the input unpacks to more than allowed")

// zstdWindow is the most a zstd frame may ask to look back, that of `zstd --long`.
const zstdWindow = 128 << 20

// What compressed files begin with.
var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	byteOrder = []byte("\xef\xbb\xbf") // the mark some programs put before UTF-8
)

// input is an opened file or standard input.
type input struct {
	name  string // as in file:line
	raw   *rawReader
	size  int64 // bytes of the file as it lies there; 0 when not known
	file  *os.File
	stdin bool // a read may block for ever, and closing does not end it
}

// rawReader counts what is read of the file itself.
type rawReader struct {
	r       io.Reader
	read    int64
	waiting func() // called before a read that may have to wait; may be nil
}

func (r *rawReader) Read(p []byte) (int, error) {
	if r.waiting != nil {
		r.waiting()
	}
	n, err := r.r.Read(p)
	r.read += int64(n)
	return n, err
}

// open opens a file, or takes stdin for "-". It reads nothing yet.
func open(name string, stdin io.Reader) (*input, error) {
	if name == "-" {
		return &input{name: "stdin", stdin: true, raw: &rawReader{r: stdin}}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	stat, err := f.Stat()
	if err == nil && stat.IsDir() {
		err = fmt.Errorf("%s is a directory; name a file", name)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	in := &input{name: name, file: f, raw: &rawReader{r: f}}
	if stat.Mode().IsRegular() {
		in.size = stat.Size()
	}
	return in, nil
}

// close closes the file; a read of a pipe then ends.
func (in *input) close() {
	if in.file != nil {
		_ = in.file.Close()
	}
}

// unpack returns the content. A compressed one is known by its first bytes, and
// a name that promises one must keep it; unpacked it may have most bytes. The
// returned function frees what that takes.
func (in *input) unpack(most int64) (io.Reader, func(), error) {
	packed := bufio.NewReaderSize(in.raw, 64<<10)
	magic, err := packed.Peek(len(zstdMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, nil, err
		}
		return &limited{r: z, left: most, most: most}, func() {}, nil
	case bytes.HasPrefix(magic, zstdMagic):
		// One at a time: the decoder then starts no goroutines of its own.
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, nil, err
		}
		return &limited{r: z, left: most, most: most}, z.Close, nil
	case strings.HasSuffix(in.name, ".gz"):
		return nil, nil, errors.New("the name ends with .gz, but this is no gzip file")
	case strings.HasSuffix(in.name, ".zst"):
		return nil, nil, errors.New("the name ends with .zst, but this is no zstd file")
	}
	return packed, func() {}, nil
}

// limited ends with ErrUnpacked instead of going over its limit.
type limited struct {
	r          io.Reader
	left, most int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, fmt.Errorf("%w: over %d bytes", ErrUnpacked, l.most)
	}
	// One byte more than is left tells the end from too much.
	n, err := l.r.Read(p[:min(int64(len(p)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return n - 1, fmt.Errorf("%w: over %d bytes", ErrUnpacked, l.most)
	}
	return n, err
}

// lines cuts a stream into lines of bounded length.
type lines struct {
	r        io.Reader
	buf      []byte
	from, to int
	number   int64 // of the newest line, from 1
	err      error // why there is no more to read
}

// lineMax is the longest line that is looked at, in bytes.
const lineMax = 1 << 20

func newLines(r io.Reader) *lines { return &lines{r: r, buf: make([]byte, lineMax+256<<10)} }

// next returns the next line without its end (LF or CRLF) as a view until the
// next call. A line over lineMax is a *fault; any other error ends the input.
func (l *lines) next() ([]byte, error) {
	scanned, tooLong := 0, false
	for {
		rest := l.buf[l.from:l.to]
		if i := bytes.IndexByte(rest[scanned:], '\n'); i >= 0 {
			l.from += scanned + i + 1
			return l.line(rest[:scanned+i], tooLong)
		}
		switch scanned = len(rest); {
		case l.err == io.EOF && (scanned > 0 || tooLong):
			l.from = l.to
			return l.line(rest, tooLong)
		case l.err != nil:
			return nil, l.err // also when a line has begun: it may be cut short
		case scanned > lineMax+len("\r"):
			tooLong, scanned = true, 0
			l.from = l.to
		}
		l.fill()
	}
}

func (l *lines) line(b []byte, tooLong bool) ([]byte, error) {
	l.number++
	if l.number == 1 {
		b = bytes.TrimPrefix(b, byteOrder)
	}
	b = bytes.TrimSuffix(b, []byte{'\r'})
	if tooLong || len(b) > lineMax {
		return nil, &fault{l.number, fmt.Sprintf("line is over %d bytes", lineMax)}
	}
	return b, nil
}

func (l *lines) fill() {
	if l.from > 0 && l.to == len(l.buf) || l.from == l.to {
		l.to = copy(l.buf, l.buf[l.from:l.to])
		l.from = 0
	}
	var n int
	n, l.err = l.r.Read(l.buf[l.to:])
	l.to += n
}

// fault is a line that cannot be sent. Those after it can.
type fault struct {
	line int64
	text string
}

func (f *fault) Error() string { return fmt.Sprintf("line %d: %s", f.line, f.text) }
