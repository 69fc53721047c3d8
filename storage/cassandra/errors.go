package cassandra

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/gocql/gocql"

	"github.com/clickagg/clickagg/internal/secure"
	"github.com/clickagg/clickagg/storage"
)

const (
	triesMost = 3
	retryWait = 50 * time.Millisecond
)

// ErrUnfit: the configuration and the keyspace do not fit each other; trying again
// does not help.
var ErrUnfit = errors.New("the keyspace does not fit")

var errClosed = errors.New("store is closed")

// again tells whether another node, or the same a little later, may do what this
// one could not. What was not answered in time is not among it: waiting once more
// would double the time a caller is kept.
func again(err error) bool {
	if r, ok := errors.AsType[gocql.RequestError](err); ok {
		switch r.Code() {
		case gocql.ErrCodeUnavailable, gocql.ErrCodeOverloaded, gocql.ErrCodeBootstrapping,
			gocql.ErrCodeWriteTimeout, gocql.ErrCodeReadTimeout, gocql.ErrCodeWriteFailure, gocql.ErrCodeReadFailure, gocql.ErrCodeServer:
			return true
		}
		return false
	}
	if cut, ok := errors.AsType[*net.OpError](err); ok {
		return !cut.Timeout()
	}
	return errors.Is(err, gocql.ErrConnectionClosed) || errors.Is(err, gocql.ErrNoStreams) || errors.Is(err, io.EOF)
}

// insist does something until it is done, there is no more use in trying, or no
// more tries are allowed; allow may be nil. It must be something that may be
// done twice.
func insist(ctx context.Context, allow func() bool, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || !again(err) || try == triesMost || allow != nil && !allow() {
			return err
		}
		select {
		case <-time.After(retryWait/2 + rand.N(retryWait)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// translate gives an error of the driver the store's own kind and, where the
// user can do something, the cure.
func translate(err error) error {
	if err == nil || ended(err) {
		return err
	}
	if r, ok := errors.AsType[gocql.RequestError](err); ok {
		switch r.Code() {
		case gocql.ErrCodeCredentials:
			return fmt.Errorf("user and password are not taken: %w", err)
		case gocql.ErrCodeUnauthorized:
			return fmt.Errorf("the user's role lacks a right (clickagg needs SELECT and MODIFY on the keyspace): %w", err)
		case gocql.ErrCodeInvalid, gocql.ErrCodeSyntax, gocql.ErrCodeConfig:
			return fmt.Errorf("the schema is not what it must be, see 'clickagg schema check': %w", err)
		}
		if !again(err) {
			return err
		}
	}
	if errors.Is(err, gocql.ErrSessionClosed) {
		return errClosed
	}
	if why := refused(err); why != "" {
		return fmt.Errorf("%s: %w", why, err)
	}
	return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
}

// ended tells whether a call was given up by its caller. A connection that was not
// made in time looks much the same.
func ended(err error) bool {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return false
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// refused says why a connection will not do, however often it is tried; empty when
// it may. What the driver made a text of is told by its words.
func refused(err error) string {
	if why := secure.Refusal(err); why != "" {
		return why
	}
	if strings.Contains(err.Error(), "authentication required") {
		return "the servers ask who this is: set user and password"
	}
	return ""
}
