package place

import (
	"context"
	"fmt"
	"strings"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/blob/s3"
)

// Open opens the place that a URL names: a directory, or s3://bucket/prefix with
// the rest of the options given; an empty one is the directory dir. Where the options say plain,
// a directory is a tree. Close is called when nothing uses the store any more.
func Open(ctx context.Context, url, dir string, o s3.Options) (store blob.Ranger, close func() error, err error) {
	if url == "" {
		url = dir
	}
	rest, remote := strings.CutPrefix(url, "s3://")
	if !remote {
		if scheme, _, ok := strings.Cut(url, "://"); ok {
			return nil, nil, fmt.Errorf("%s.url: %q is no place for %[1]s; write a path or s3://bucket/prefix", o.Section, scheme+"://")
		}
		open := blob.OpenDir
		if o.Plain {
			open = blob.OpenTree
		}
		d, err := open(url)
		if err != nil {
			return nil, nil, err
		}
		return d, func() error { return nil }, nil
	}
	bucket, prefix, _ := strings.Cut(rest, "/")
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix != "" {
		if err := blob.CheckName(prefix); err != nil {
			return nil, nil, fmt.Errorf("%s.url: %s: its prefix: %w", o.Section, url, err)
		}
	}
	o.Bucket, o.Prefix = bucket, prefix
	s, err := s3.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}
