package cassandra

import (
	"testing"

	"github.com/gocql/gocql"

	"github.com/clickagg/clickagg/internal/click"
)

// TestRawRequests: each request has rows of one partition and is bounded, every record
// is in one, and every bucket that is written is named, no earlier than its records.
func TestRawRequests(t *testing.T) {
	t.Parallel()
	src := click.Source{Topic: "clicks", Partition: 3}
	var records []click.Record
	for offset := int64(rawBucket - 250); offset < 2*rawBucket+50; offset += 3 {
		records = append(records, click.Record{Offset: offset, Append: 1_700_000_000_000 + offset%7, Value: make([]byte, offset%9000)})
	}
	var next int
	named, newest := map[int64]int64{}, map[int64]int64{}
	for _, rows := range rawRequests(src, records) {
		bucket, size := rows[0].args[3].(int64), 0
		for _, u := range rows {
			when := u.args[len(u.args)-1].(int64)
			if u.args[3] != bucket {
				t.Errorf("buckets %d and %d in one request", bucket, u.args[3])
			}
			if u.statement == putRawBucket {
				named[bucket] = when
				continue
			}
			r := &records[next]
			if next++; u.args[4] != r.Offset || bucket != r.Offset/rawBucket || when != r.Append*1000 {
				t.Fatalf("%v is written for offset %d", u.args, r.Offset)
			}
			newest[bucket] = max(newest[bucket], when)
			size += len(r.Value)
		}
		if len(rows) > rowsPerPartition || size >= rawBytes+9000 {
			t.Errorf("a request of %d rows and %d bytes", len(rows), size)
		}
	}
	if next != len(records) || len(named) != 3 {
		t.Errorf("%d of %d records, buckets %v", next, len(records), named)
	}
	for bucket, when := range newest {
		if named[bucket] < when {
			t.Errorf("bucket %d is named at %d, its records are of %d", bucket, named[bucket], when)
		}
	}
	if got := rawRequests(src, nil); len(got) > 0 {
		t.Errorf("nothing makes %d requests", len(got))
	}
}

// TestAbsentCellsAreNotWritten: a null would be a tombstone in every row.
func TestAbsentCellsAreNotWritten(t *testing.T) {
	t.Parallel()
	args := rawRow(click.Source{Topic: "clicks"}, &click.Record{Value: []byte{}}).args
	if args[6] != gocql.UnsetValue || args[8] != gocql.UnsetValue {
		t.Errorf("key %v, headers %v", args[6], args[8])
	}
	if v, ok := args[7].([]byte); !ok || v == nil {
		t.Errorf("an empty value is %v", args[7])
	}
}
