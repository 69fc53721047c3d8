package s3

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/clickagg/clickagg/internal/blob"
)

// Options say where the storage is and who asks.
type Options struct {
	Endpoint  string // http or https URL without a path; empty is AWS
	Region    string // the bucket's region; it is part of every signature
	Bucket    string // it must be there
	Prefix    string // of all names, without a slash at its ends; empty is none
	AccessKey string // empty takes what the environment or the machine's role offers
	SecretKey string // to AccessKey

	TLS *tls.Config // of an https endpoint; nil trusts the system's authorities

	// Section is where the configuration says all this: snapshots, say. Errors name its keys.
	Section string
	// Plain gives objects the names of their blobs, for other programs to read. A name that
	// begins another one, up to a slash, is refused then by some storages.
	Plain bool
}

var _ blob.Ranger = (*Store)(nil)

// Store is a [blob.Store] in a bucket.
type Store struct {
	core      minio.Core
	transport *http.Transport
	endpoint  string
	region    string
	bucket    string
	prefix    string // empty, or with a slash at its end
	section   string
	end       string // of every key
	most      int64  // largest blob, in bytes
}

// end closes the key of every blob, unless they are plain. No name has it, so that no blob lies where
// another one has a directory: storages that are file systems underneath refuse
// an object "a/b" beside one that is called "a".
const end = "!"

// reads is how often a blob is read when the connection breaks in its middle. Other
// failures are repeated by the client.
const reads = 3

// Open opens the part of a bucket that begins with a prefix. It asks the storage
// once, so that a wrong key or a bucket that is not there are known at once.
func Open(ctx context.Context, o Options) (*Store, error) {
	host, secure, err := o.target()
	if err != nil {
		return nil, fmt.Errorf("open object storage: %w", err)
	}
	transport := newTransport(o.TLS)
	client, err := minio.New(host, &minio.Options{
		Creds: o.credentials(), Secure: secure, Region: o.Region, Transport: transport,
		TrailingHeaders: true, // no checksum is taken without it, though ours stand in front
	})
	if err != nil {
		return nil, fmt.Errorf("open object storage: %s.s3.endpoint: %w", o.Section, err)
	}
	s := &Store{
		core: minio.Core{Client: client}, transport: transport, endpoint: client.EndpointURL().String(), region: o.Region,
		bucket: o.Bucket, prefix: o.Prefix, most: blob.MaxBytes, section: o.Section,
	}
	if !o.Plain {
		s.end = end
	}
	if s.prefix != "" {
		s.prefix += "/"
	}
	if err := s.probe(ctx); err != nil {
		return nil, errors.Join(s.failed(ctx, "open", "", err), s.Close())
	}
	return s, nil
}

// target is what the client calls an endpoint.
func (o Options) target() (host string, secure bool, err error) {
	if o.Endpoint == "" {
		return "s3.amazonaws.com", true, nil
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" {
		return "", false, fmt.Errorf("%s.s3.endpoint %q is no URL like https://s3.example.com", o.Section, o.Endpoint)
	}
	return u.Host, u.Scheme == "https", nil
}

// probe asks for the first key.
func (s *Store) probe(ctx context.Context) error {
	no := false
	for object := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{
		Prefix: s.prefix, Recursive: true, MaxKeys: 1, FetchOwner: &no,
	}) {
		return object.Err
	}
	return ctx.Err()
}

// Close ends idle connections. Nothing may be asked any more.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Put implements [blob.Store].
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	key, err := s.key(ctx, name)
	if err != nil {
		return err
	}
	if int64(len(data)) > s.most {
		return fmt.Errorf("put blob %s: %d bytes are over the limit of %d", name, len(data), s.most)
	}
	_, err = s.core.Client.PutObject(ctx, s.bucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{
		DisableMultipart: true,
		UserMetadata:     map[string]string{"x-amz-checksum-crc32c": checksum(data)},
	})
	if err != nil {
		return s.failed(ctx, "put", name, err)
	}
	return nil
}

// checksum is a CRC-32C as the protocol writes it.
func checksum(data []byte) string {
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// Get implements [blob.Store].
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	key, err := s.key(ctx, name)
	if err != nil {
		return nil, err
	}
	var data []byte
	err = s.retry(ctx, name, func() (err error) {
		data, err = s.read(ctx, key)
		return err
	})
	return data, err
}

// GetRange implements [blob.Ranger].
func (s *Store) GetRange(ctx context.Context, name string, at int64, p []byte) error {
	key, err := s.key(ctx, name)
	if err != nil || len(p) == 0 {
		return err
	}
	return s.retry(ctx, name, func() error { return s.readRange(ctx, key, at, p) })
}

// retry reads again when the answer breaks off.
func (s *Store) retry(ctx context.Context, name string, read func() error) error {
	for try := 1; ; try++ {
		err := read()
		switch {
		case err == nil:
			return nil
		case minio.ToErrorResponse(err).Code == minio.NoSuchKey:
			return fmt.Errorf("get blob %s: %w", name, blob.ErrNotFound)
		case errors.As(err, new(tooLarge)), errors.Is(err, errShort):
			return fmt.Errorf("get blob %s: %w", name, err)
		case !errors.Is(err, errBroken) || ctx.Err() != nil || try == reads:
			return s.failed(ctx, "get", name, err)
		}
	}
}

// errShort: the object ends before what was asked for.
var errShort = fmt.Errorf("it ends before: %w", io.ErrUnexpectedEOF)

// readRange reads a part of an object once.
func (s *Store) readRange(ctx context.Context, key string, at int64, p []byte) error {
	var o minio.GetObjectOptions
	if err := o.SetRange(at, at+int64(len(p))-1); err != nil {
		return err
	}
	body, about, _, err := s.core.GetObject(ctx, s.bucket, key, o)
	if minio.ToErrorResponse(err).Code == "InvalidRange" {
		return errShort
	}
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if about.Size < int64(len(p)) { // of what is sent
		return errShort
	}
	if n, err := io.ReadFull(body, p); err != nil {
		return fmt.Errorf("%w: after %d bytes", errBroken, n)
	}
	return nil
}

// errBroken: the answer began and did not come to its end.
var errBroken = errors.New("the answer broke off")

// tooLarge is the size of an object that must not be taken into memory.
type tooLarge struct{ size, most int64 }

func (e tooLarge) Error() string {
	return fmt.Sprintf("%d bytes are over the limit of %d", e.size, e.most)
}

// read reads a whole object once.
func (s *Store) read(ctx context.Context, key string) (data []byte, err error) {
	body, about, _, err := s.core.GetObject(ctx, s.bucket, key, minio.GetObjectOptions{Checksum: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	if about.Size > s.most {
		return nil, tooLarge{about.Size, s.most}
	}
	data = make([]byte, max(about.Size, 0))
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	// The checksum is compared at the end.
	if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: after %d bytes: %w", errBroken, len(data), err)
	}
	return data, nil
}

// List implements [blob.Store]. Objects that are no blobs are passed over.
func (s *Store) List(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var names []string
	no := false
	for object := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{
		Prefix: s.prefix + prefix, Recursive: true, FetchOwner: &no,
	}) {
		if object.Err != nil {
			return nil, s.failed(ctx, "list", prefix, object.Err)
		}
		name, blobs := strings.CutSuffix(strings.TrimPrefix(object.Key, s.prefix), s.end)
		if blobs && strings.HasPrefix(name, prefix) && blob.CheckName(name) == nil {
			names = append(names, name)
		}
	}
	// An iterator that was stopped by the context says nothing.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// Delete implements [blob.Store]. In a bucket that keeps versions the bytes stay
// until the bucket's own rules remove them.
func (s *Store) Delete(ctx context.Context, name string) error {
	key, err := s.key(ctx, name)
	if err != nil {
		return err
	}
	err = s.core.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{})
	if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchKey {
		return s.failed(ctx, "delete", name, err)
	}
	return nil
}

// key is where a blob lies. It refuses what is no name, and to begin when the
// context has ended.
func (s *Store) key(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := blob.CheckName(name); err != nil {
		return "", err
	}
	return s.prefix + name + s.end, nil
}
