package cassandra

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

const (
	lockSeconds = 120 // after which a lock whose holder died is free
	lockRetry   = 500 * time.Millisecond
)

var errLockLost = errors.New("the lock on the schema was lost: the servers are very slow; apply it again")

// lock keeps two programs from changing the schema at once.
type lock struct {
	session *session
	holder  string
}

// makeLock makes the table that holds the lock. Two programs may do so at once,
// through different nodes, before there is any lock: that leaves one table and not
// two of one name, because both give it the same id.
func makeLock(keyspace string) string {
	sum := sha256.Sum256([]byte("clickagg schema_lock of " + keyspace))
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	text := hex.EncodeToString(id)
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS schema_lock (
    name text,
    holder text,
    PRIMARY KEY (name)
) WITH id = %s-%s-%s-%s-%s AND comment = 'who changes the schema'`, text[:8], text[8:12], text[12:16], text[16:20], text[20:])
}

// takeLock waits for the lock.
func takeLock(ctx context.Context, s *session, logger *zap.Logger) (*lock, error) {
	l := &lock{session: s, holder: rand.Text()}
	for said := false; ; said = true {
		var name, holder string
		took, err := s.vote(ctx, []any{&name, &holder},
			`INSERT INTO schema_lock (name, holder) VALUES ('schema', ?) IF NOT EXISTS USING TTL ?`, l.holder, lockSeconds)
		if err != nil {
			return nil, translate(err)
		}
		if took || holder == l.holder {
			return l, nil
		}
		if !said {
			logger.Info("another program changes the schema; waiting for it")
		}
		select {
		case <-time.After(lockRetry):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// keep holds on to the lock for another while.
func (l *lock) keep(ctx context.Context) error {
	var holder string
	kept, err := l.session.vote(ctx, []any{&holder},
		`UPDATE schema_lock USING TTL ? SET holder = ? WHERE name = 'schema' IF holder = ?`, lockSeconds, l.holder, l.holder)
	if err != nil {
		return translate(err)
	}
	if !kept {
		return errLockLost
	}
	return nil
}

// vote runs a conditional statement, on which the replicas vote. When it was not
// applied, what is there goes into have. A vote without an answer is held again:
// it finds what the first one did.
func (s *session) vote(ctx context.Context, have []any, statement string, args ...any) (applied bool, err error) {
	err = insist(ctx, nil, func() (err error) {
		applied, err = s.Query(statement, args...).WithContext(ctx).ScanCAS(have...)
		return err
	})
	return applied, err
}

// release gives the lock back. Should that fail it ends by itself.
func (l *lock) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var holder string
	_, _ = l.session.vote(ctx, []any{&holder}, `DELETE FROM schema_lock WHERE name = 'schema' IF holder = ?`, l.holder)
}
