package ops

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/api"
)

// How often systemd is told, where it does not say: whether everything works, and
// for how much longer a start may take.
const (
	askEvery    = time.Second
	moreToStart = 30 * time.Second
)

// Notify tells systemd how the process is, until ctx ends: that it is ready when
// every part works, in a line what it does, and, at half the interval of WatchdogSec=
// while it is alive, that it is. A start may take as long as the process is alive.
// Without systemd it does nothing. It returns nil, so that it may stand beside what
// can fail.
func Notify(ctx context.Context, health Health, logger *zap.Logger) error {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		<-ctx.Done()
		return nil
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		logger.Warn("WATCHDOG_USEC is no interval: systemd will not see whether the process is alive", zap.Error(err))
	}
	n := notifier{health: health, sign: watchdog / 2, log: logger, send: func(news string) {
		if _, err := daemon.SdNotify(false, news); err != nil {
			logger.Warn("systemd cannot be told how the process is", zap.Error(err))
		}
	}}
	n.run(ctx)
	return nil
}

// notifier remembers what systemd was told.
type notifier struct {
	health Health
	sign   time.Duration // from one sign of life to the next; zero when nobody waits for them
	log    *zap.Logger
	send   func(news string)

	ready   bool
	status  string
	alive   time.Time // when the last sign of life was given
	stalled bool
}

func (n *notifier) run(ctx context.Context) {
	every := askEvery
	if n.sign > 0 {
		every = min(every, n.sign/2)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		n.tell(time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			n.send("STOPPING=1\nSTATUS=stopping")
			return
		}
	}
}

// tell says what is news, or due.
func (n *notifier) tell(now time.Time) {
	var news []string
	unready := n.health.Unready()
	if len(unready) == 0 && !n.ready {
		n.ready = true
		news = append(news, "READY=1")
	}
	err := n.health.Alive()
	switch {
	case err != nil:
		if !n.stalled {
			n.log.Error("no progress: systemd is not told any more that the process is alive", zap.Error(err))
		}
	case !n.ready:
		news = append(news, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", moreToStart.Microseconds()))
	case n.sign > 0 && now.Sub(n.alive) >= n.sign:
		n.alive = now
		news = append(news, "WATCHDOG=1")
	}
	n.stalled = err != nil
	if s := line(err, unready); s != n.status {
		n.status = s
		news = append(news, "STATUS="+s)
	}
	if len(news) > 0 {
		n.send(strings.Join(news, "\n"))
	}
}

// line is what systemctl status shows.
func line(err error, unready []api.Unready) string {
	if err != nil {
		return "no progress: " + oneLine(err.Error())
	}
	if len(unready) == 0 {
		return "every part works"
	}
	var parts []string
	for _, u := range unready {
		parts = append(parts, u.Part+": "+u.Reason)
	}
	return "not ready: " + oneLine(strings.Join(parts, "; "))
}

// oneLine keeps a text from being taken for another notice.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
