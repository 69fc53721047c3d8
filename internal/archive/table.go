package archive

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/clickagg/clickagg/internal/click"
	"github.com/clickagg/clickagg/mapper/rule"
)

// row is the table other programs see. The columns of what was decoded are null where the record
// is no click or lacks the field; key, value and headers are as they came, null where absent.
// Encodings are those that every reader of Parquet knows.
type row struct {
	EventID    string `parquet:"event_id,optional,plain"` // null too where it was made of other fields
	AdID       string `parquet:"ad_id,optional,dict"`
	EventTime  int64  `parquet:"event_time,optional,timestamp(millisecond)"`
	AppendTime int64  `parquet:"append_time,timestamp(millisecond)"`
	Country    string `parquet:"country,optional,dict"`
	Device     string `parquet:"device,optional,dict"`
	UserAgent  string `parquet:"user_agent,optional,dict"`
	IP         string `parquet:"ip,optional,plain"`
	Topic      string `parquet:"topic,dict"`
	TopicID    string `parquet:"topic_id,dict"`
	Partition  int32  `parquet:"partition,dict"`
	Offset     int64  `parquet:"offset"`
	Key        []byte `parquet:"key,optional,plain"`
	Value      []byte `parquet:"value,optional,plain"`
	Headers    []byte `parquet:"headers,optional,plain"` // as Kafka writes them
	HeaderNum  int32  `parquet:"header_count,dict"`
}

// texts are the further fields of a click that have a column, in the order of cell.texts.
var texts = []string{"country", "device", "user_agent", "ip"}

// cell is what a record says; its texts are views.
type cell struct {
	rec       *click.Record
	isClick   bool
	ad, event []byte
	time      int64
	texts     [4][]byte
}

// table writes runs of records of one source as a Parquet file. Its memory is used again.
type table struct {
	columns *rule.Columns
	codec   zstd.Codec // keeps encoders, which are dear to make
	source  click.Source
	file    bytes.Buffer
	out     *parquet.GenericWriter[row]
	cells   []cell
	arena   arena // of texts, which the decoder writes over
	values  []parquet.Value
}

func newTable(cfg rule.Config) *table {
	return &table{columns: rule.NewColumns(cfg, texts...), codec: zstd.Codec{Level: zstd.SpeedDefault, Concurrency: 1}}
}

// begin makes the table an empty one of a source. Its writer is a new one: in v0.32.0 the footer of one that is
// reset depends on what it wrote before.
func (t *table) begin(s click.Source) {
	t.source = s
	t.file.Reset()
	t.out = parquet.NewGenericWriter[row](&t.file,
		parquet.Compression(&t.codec),
		parquet.WriteBufferSize(0), parquet.DataPageVersion(1), parquet.CreatedBy("clickagg", "1", ""),
		parquet.SortingWriterConfig(parquet.SortingColumns(parquet.Ascending("event_time"), parquet.Ascending("ad_id"))))
}

// run appends a row group of records, which are in the order of their offsets, and returns what the
// manifest says of it. It takes clicks into times.
func (t *table) run(records []click.Record, clicks *int64, clicked *Times) (Run, error) {
	first := &records[0]
	r := Run{
		From: first.Offset, To: records[len(records)-1].Offset + 1, Records: int64(len(records)), At: int64(t.file.Len()),
		Received: Times{first.Append, first.Append},
	}
	t.cells, t.arena = t.cells[:0], t.arena[:0]
	for i := range records {
		c := t.read(&records[i])
		if r.Received.add(c.rec.Append); c.isClick {
			*clicks++
			clicked.add(c.time)
		}
		t.cells = append(t.cells, c)
	}
	slices.SortFunc(t.cells, func(a, b cell) int {
		switch {
		case a.isClick != b.isClick: // nulls go last
			if a.isClick {
				return -1
			}
			return 1
		default:
			return cmp.Or(cmp.Compare(a.time, b.time), bytes.Compare(a.ad, b.ad), cmp.Compare(a.rec.Offset, b.rec.Offset))
		}
	})
	if err := t.write(); err != nil {
		return r, fmt.Errorf("write run: %w", err)
	}
	if r.At == 0 {
		r.At = int64(len(magic))
	}
	r.Bytes = int64(t.file.Len()) - r.At
	return r, nil
}

// magic begins a Parquet file.
const magic = "PAR1"

func (t *table) read(rec *click.Record) cell {
	c := cell{rec: rec}
	ad, event, ms, ok := t.columns.Read(rec)
	if !ok {
		return c
	}
	c.isClick, c.ad, c.event, c.time = true, t.arena.keep(ad), t.arena.keep(event), ms
	for i := range c.texts {
		c.texts[i] = t.arena.keep(t.columns.Text(i))
	}
	return c
}

// write writes the cells, column by column.
func (t *table) write() error {
	topic, id := []byte(t.source.Topic), []byte(hex.EncodeToString(t.source.ID[:]))
	text := func(f func(c *cell) []byte) func(*cell) parquet.Value {
		return func(c *cell) parquet.Value { return optional(f(c)) }
	}
	field := func(i int) func(*cell) parquet.Value { return text(func(c *cell) []byte { return c.texts[i] }) }
	for i, value := range [...]func(*cell) parquet.Value{
		text(func(c *cell) []byte { return c.event }),
		text(func(c *cell) []byte { return c.ad }),
		func(c *cell) parquet.Value {
			if !c.isClick {
				return parquet.NullValue()
			}
			return parquet.Int64Value(c.time).Level(0, 1, 0)
		},
		func(c *cell) parquet.Value { return parquet.Int64Value(c.rec.Append) },
		field(0), field(1), field(2), field(3),
		func(*cell) parquet.Value { return parquet.ByteArrayValue(topic) },
		func(*cell) parquet.Value { return parquet.ByteArrayValue(id) },
		func(*cell) parquet.Value { return parquet.Int32Value(t.source.Partition) },
		func(c *cell) parquet.Value { return parquet.Int64Value(c.rec.Offset) },
		text(func(c *cell) []byte { return c.rec.Key }),
		text(func(c *cell) []byte { return c.rec.Value }),
		text(func(c *cell) []byte { return c.rec.Headers.Raw }),
		func(c *cell) parquet.Value { return parquet.Int32Value(int32(c.rec.Headers.Count)) },
	} {
		if err := t.column(i, value); err != nil {
			return err
		}
	}
	return t.out.Flush()
}

// pageRows is how many values are handed over at once; a page ends between two such.
const pageRows = 1024

func (t *table) column(i int, value func(*cell) parquet.Value) error {
	to := t.out.ColumnWriters()[i]
	for part := range slices.Chunk(t.cells, pageRows) {
		t.values = t.values[:0]
		for j := range part {
			t.values = append(t.values, value(&part[j]))
		}
		if _, err := to.WriteRowValues(t.values); err != nil {
			return err
		}
	}
	return nil
}

// optional is the value of a column that may be null.
func optional(b []byte) parquet.Value {
	if b == nil {
		return parquet.NullValue()
	}
	return parquet.ByteArrayValue(b).Level(0, 1, 0)
}

// end closes the file and returns its bytes, which are valid until the next begin, and where its footer begins.
func (t *table) end() (file []byte, footer int64, err error) {
	footer = int64(t.file.Len())
	if err := t.out.Close(); err != nil {
		return nil, 0, fmt.Errorf("write footer: %w", err)
	}
	return t.file.Bytes(), footer, nil
}
