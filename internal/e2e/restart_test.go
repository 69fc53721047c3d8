package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// minutes writes n clicks a minute for some minutes, of 3 ads, and their counts
// in the form of an export without its header.
func minutes(from, to, n int) (clicks, counts string) {
	var c, e strings.Builder
	for m := from; m < to; m++ {
		at := may.Add(time.Duration(m) * time.Minute)
		for i := range n {
			fmt.Fprintf(&c, `{"event_id":"%d-%d","ad_id":"ad-%d","ts":%d}`+"\n", m, i, i%3, at.UnixMilli()+int64(i))
		}
		for ad := range 3 {
			fmt.Fprintf(&e, "ad-%d,%s,%d\n", ad, at.Format(time.RFC3339), (n-ad+2)/3)
		}
	}
	return c.String(), e.String()
}

const exportHeader = "ad_id,minute,count\n"

// again makes the process run anew and checks that it is where it was.
func (s *server) again(ctx context.Context, want string) {
	s.t.Helper()
	s.start()
	s.ready(ctx)
	same(s.t, "export after the restart", s.export(), exportHeader+want)
}

// TestRestart stops and kills the process between loads; counts stay, counting
// goes on, and the accounts add up over all of it.
func TestRestart(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	first, one := minutes(0, 10, 100)
	second, two := minutes(10, 20, 100)
	third, three := minutes(20, 30, 100)

	s.load(write(t, "first.jsonl", first), "--finish", "--wait")
	if status := s.stop(); status != 0 {
		t.Errorf("stopped with status %d", status)
	}
	s.again(ctx, one)
	s.load(write(t, "second.jsonl", second), "--finish", "--wait")
	same(t, "export", s.export(), exportHeader+one+two)
	s.kill()
	s.again(ctx, one+two)
	// A part of it again, across the restart: duplicates or late, never counted.
	s.load(write(t, "third.jsonl", second+third), "--finish", "--wait")
	if sum := s.settled(ctx, 4000+3*4); sum.Counted != 3000 || sum.Duplicate+sum.Late != 1000 || sum.Duplicate == 0 {
		t.Errorf("%+v", sum)
	}
	same(t, "export", s.export(), exportHeader+one+two+three)
	s.kill()
	s.start()
	s.kill() // while it starts
	s.again(ctx, one+two+three)
	if sum := s.settled(ctx, 4000+3*4); sum.Counted != 3000 {
		t.Errorf("%+v", sum)
	}
}

// TestSnapshots loses or damages snapshots while the process is away: that only
// means more log to read.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(newest string, all []string) error{
		"newest gone":    func(newest string, _ []string) error { return os.Remove(newest) },
		"newest torn":    func(newest string, _ []string) error { return os.Truncate(newest, 40) },
		"newest empty":   func(newest string, _ []string) error { return os.Truncate(newest, 0) },
		"newest flipped": func(newest string, _ []string) error { return flip(newest) },
		"all flipped": func(_ string, all []string) (err error) {
			for _, f := range all {
				err = errors.Join(err, flip(f))
			}
			return err
		},
		"all gone": func(_ string, all []string) (err error) {
			for _, f := range all {
				err = errors.Join(err, os.Remove(f))
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := limited(t)
			s := running(ctx, t, "--aggregator.snapshot-interval", "300ms")
			first, one := minutes(0, 10, 100)
			second, two := minutes(10, 20, 100)
			s.load(write(t, "first.jsonl", first), "--finish", "--wait")
			s.kept(ctx)
			if status := s.stop(); status != 0 {
				t.Errorf("stopped with status %d", status)
			}
			for _, files := range snapshots(t, s) {
				if err := damage(files[len(files)-1], files); err != nil {
					t.Fatal(err)
				}
			}
			s.again(ctx, one)
			// The last minute again, to see that its ids are still known.
			again, _ := minutes(9, 10, 100)
			s.load(write(t, "second.jsonl", again+second), "--finish", "--wait")
			if sum := s.settled(ctx, 2100+2*4); sum.Counted != 2000 || sum.Duplicate != 100 {
				t.Errorf("%+v", sum)
			}
			same(t, "export", s.export(), exportHeader+one+two)
		})
	}
}

// kept waits until each machine has two snapshots, as many as are kept.
func (s *server) kept(ctx context.Context) {
	s.t.Helper()
	s.eventually(ctx, "two snapshots of each machine", func() error {
		machines := snapshots(s.t, s)
		if len(machines) != 6 {
			return fmt.Errorf("%v", machines)
		}
		for _, files := range machines {
			if len(files) < 2 {
				return fmt.Errorf("%v", files)
			}
		}
		return nil
	})
}

// snapshots lists the snapshot files of each machine, the oldest first.
func snapshots(t *testing.T, s *server) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.data(), "snapshots", "*.snap"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	machines := map[string][]string{}
	for _, f := range files {
		machine := f[:strings.LastIndexByte(f, '+')]
		machines[machine] = append(machines[machine], f)
	}
	return machines
}

// flip changes one bit in the middle of a file.
func flip(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(path, b, 0o600)
}

// TestRefused: what would harm an installation, or cannot work, is refused with
// an exit status and a sentence that says what to do.
func TestRefused(t *testing.T) {
	t.Parallel()
	ctx := limited(t)
	s := running(ctx, t)
	other := func(args ...string) []string {
		return append([]string{"run", "--data-dir", filepath.Join(t.TempDir(), "data"), "--embedded.listen", "127.0.0.1:0", "--api.listen", "127.0.0.1:0"}, args...)
	}
	pid := fmt.Sprint(s.cmd.Process.Pid)
	file := write(t, "file", "")
	for _, test := range []struct {
		name   string
		args   []string
		status int
		says   []string
	}{
		{"data directory", other("--data-dir", s.data()), 3, []string{s.data(), "pid " + pid, "another --data-dir"}},
		{"broker's port", other("--embedded.listen", s.broker), 3, []string{s.broker, "in use", "embedded.listen"}},
		{"API's port", other("--api.listen", s.api), 3, []string{s.api, "in use", "api.listen"}},
		{"ops port", other("--ops.listen", s.api), 3, []string{s.api, "in use", "ops.listen"}},
		{"data directory is a file", other("--data-dir", file), 3, []string{file, "not a directory"}},
		{"role", other("--role", "mapper"), 2, []string{"--role=all"}},
		{"argument", other("now"), 2, []string{"now"}},
	} {
		stdout, stderr, status := run(t, test.args...)
		if status != test.status {
			t.Errorf("%s: status %d, not %d", test.name, status, test.status)
		}
		contains(t, stdout+stderr, test.says...)
	}
	s.settled(ctx, 0) // it runs on

	if status := s.stop(); status != 0 {
		t.Errorf("stopped with status %d", status)
	}
	for _, key := range []string{"--aggregator.shards=5", "--reducer.partitions=3", "--window.size=30s"} {
		_, stderr, status := run(t, other("--data-dir", s.data(), key)...)
		if status != 2 {
			t.Errorf("%s: status %d", key, status)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(key, "--"), "=")
		contains(t, stderr, name, "data")
	}
	s.again(ctx, "")
}
