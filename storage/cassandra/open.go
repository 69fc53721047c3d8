package cassandra

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/storage"
)

// Store is a storage.Store in one keyspace.
type Store struct {
	session *session
	opts    Options
	id      string
	size    atomic.Int64  // of the windows, ms; 0 while not known
	slots   chan struct{} // one for each request of Apply under way
	pace    *pace
	marks   *shared[[]storage.Mark]
	closed  atomic.Bool
}

var _ storage.Store = (*Store)(nil)

// Facts about the store, which are written once.
const (
	factID    = "id"
	factOwner = "owner"
	factSize  = "window_ms"
)

// Open opens the store in a keyspace that [Apply] has made. It fails with
// storage.ErrUnavailable when the servers do not answer within the timeout, and
// otherwise when the keyspace is not as it must be or holds the results of another
// installation. A keyspace newer than this program is used: no migration
// breaks the program before it.
func Open(ctx context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Keyspace, err)
	}
	return s, nil
}

func open(ctx context.Context, o Options) (_ *Store, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	d, err := dial(ctx, o, o.Keyspace)
	if err != nil {
		return nil, err
	}
	s := &Store{session: d, opts: o, slots: make(chan struct{}, o.InFlight), pace: newPace(o.InFlight)}
	s.marks = newShared(marksAtOnce, s.readMarks)
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	done, err := migrations(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := upToDate(done, o.Logger); err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// upToDate refuses a keyspace that this program cannot work with.
func upToDate(done map[int]migration, logger *zap.Logger) error {
	for _, m := range files {
		switch have, ok := done[m.number]; {
		case !ok:
			return fmt.Errorf("%w: the schema lacks migration %s: run 'clickagg schema apply'", ErrUnfit, m.name)
		case have.checksum != m.checksum:
			return fmt.Errorf("the schema has another migration %d (%s) than this program: use the version of clickagg that applied it", m.number, have.name)
		}
	}
	for n := range done {
		if n > files[len(files)-1].number {
			logger.Warn("the schema is newer than this program", zap.String("migration", done[n].name))
		}
	}
	return nil
}

// settle learns the store's name and windows, names a new store, and claims it.
func (s *Store) settle(ctx context.Context) error {
	facts := map[string]string{}
	it := s.session.Query(`SELECT name, value FROM store`).WithContext(ctx).Iter()
	for name, value := "", ""; it.Scan(&name, &value); {
		facts[name] = value
	}
	if err := it.Close(); err != nil {
		return translate(err)
	}
	var err error
	if s.id = facts[factID]; s.id == "" {
		var name [16]byte
		if _, err := rand.Read(name[:]); err != nil {
			return err
		}
		if s.id, err = s.agree(ctx, factID, hex.EncodeToString(name[:])); err != nil {
			return err
		}
	}
	owner := facts[factOwner]
	if owner == "" && s.opts.Owner != "" {
		if owner, err = s.agree(ctx, factOwner, s.opts.Owner); err != nil {
			return err
		}
	}
	if s.opts.Owner != "" && owner != s.opts.Owner {
		return fmt.Errorf("%w: it holds the results of another installation (%s, this one is %s), whose clicks are not here: "+
			"give this one a keyspace of its own, or drop the keyspace and have it filled again", ErrUnfit, owner, s.opts.Owner)
	}
	if size := facts[factSize]; size != "" {
		return s.keepSize(size)
	}
	return nil
}

// agree writes a fact unless it is there already, and returns what is there. It
// is not for the data path: the replicas vote.
func (s *Store) agree(ctx context.Context, name, value string) (string, error) {
	var haveName, have string
	applied, err := s.session.vote(ctx, []any{&haveName, &have},
		`INSERT INTO store (name, value) VALUES (?, ?) IF NOT EXISTS`, name, value)
	if err != nil {
		return "", translate(err)
	}
	if applied {
		return value, nil
	}
	return have, nil
}

func (s *Store) keepSize(text string) error {
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil || size <= 0 {
		return fmt.Errorf("its windows have %q ms: damaged", text)
	}
	s.size.Store(size)
	return nil
}

// ID implements [storage.Store].
func (s *Store) ID() string { return s.id }

// Close implements [storage.Store]. Calls at work fail.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return errClosed
	}
	s.session.Close()
	return nil
}

// use refuses a store that was closed, or a caller that has gone.
func (s *Store) use(ctx context.Context) error {
	if s.closed.Load() {
		return errClosed
	}
	return ctx.Err()
}
