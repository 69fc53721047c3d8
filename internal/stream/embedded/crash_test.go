package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/embedded"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// victimDir names the variable that makes this test's binary the process to be
// killed.
const victimDir = "CLICKAGG_TEST_BROKER_DIR"

func crashConfig(dir string) embedded.Config {
	return embedded.Config{
		Dir: dir, Listen: "127.0.0.1:0", SyncWrites: true, SegmentBytes: 2 << 10,
		Topics: []embedded.Topic{{Name: "clicks", Partitions: 1}},
	}
}

// victim appends numbers and commits them, says what was kept, and waits for its
// end.
func victim(dir string) {
	ctx := context.Background()
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	b, err := embedded.Start(ctx, crashConfig(dir), zap.NewNop())
	fail(err)
	l, err := kafka.Open(ctx, kafka.Config{Brokers: []string{b.Addr()}}, zap.NewNop())
	fail(err)
	_, end, err := l.Bounds(ctx, "clicks", 0)
	fail(err)
	for i := int(end); ; i++ {
		fail(l.Append(ctx, "clicks", values(i, i+1)))
		fail(l.Commit(ctx, "g", "clicks", 0, stream.Position{Offset: int64(i + 1), Metadata: fmt.Sprint(i)}))
		fmt.Println(i + 1)
	}
}

func TestKilled(t *testing.T) {
	t.Parallel()
	dir, kept := t.TempDir(), int64(0)
	for round := range 4 {
		child := exec.CommandContext(within(t), os.Args[0])
		child.Env = append(os.Environ(), victimDir+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 40+round && lines.Scan(); n++ {
			if _, err := fmt.Sscan(lines.Text(), &kept); err != nil {
				t.Fatalf("the broker says %q", lines.Text())
			}
		}
		child.Process.Kill()
		for lines.Scan() { // what it said before it ended counts as well
			fmt.Sscan(lines.Text(), &kept)
		}
		child.Wait()

		b, stop := start(t, crashConfig(dir))
		l := connect(t, b)
		records, end := all(t, l, "clicks")
		if end < kept || end > kept+1 || int64(len(records)) != end {
			t.Fatalf("round %d: %d records, end %d; %d were acknowledged", round, len(records), end, kept)
		}
		for i, r := range records {
			if string(r.Value) != fmt.Sprint(i) {
				t.Fatalf("offset %d holds %q", i, r.Value)
			}
			if age := time.Since(time.UnixMilli(r.Append)); age < 0 || age > time.Hour {
				t.Fatalf("offset %d was appended %v ago", i, age)
			}
		}
		p, ok, err := l.Committed(within(t), "g", "clicks", 0)
		if err != nil || !ok || p.Offset < kept || p.Metadata != fmt.Sprint(p.Offset-1) {
			t.Fatalf("round %d: position %+v, %t, %v; committed was %d", round, p, ok, err, kept)
		}
		l.Close()
		stop()
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	fill := func(t *testing.T) (embedded.Config, []string) {
		cfg := embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", SegmentBytes: 4 << 10, Topics: []embedded.Topic{{Name: "clicks", Partitions: 1}}}
		b, stop := start(t, cfg)
		l := connect(t, b)
		for i := range 12 {
			add(t, l, "clicks", values(i*100, i*100+100))
		}
		l.Close()
		stop()
		return cfg, files(t, cfg.Dir)
	}
	for name, harm := range map[string]func(files []string) error{
		"a file is gone":       func(files []string) error { return os.Remove(files[1]) },
		"a file is cut":        func(files []string) error { return os.Truncate(files[1], 100) },
		"the end is cut":       func(files []string) error { return os.Truncate(files[len(files)-1], 100) },
		"all files are gone":   func(files []string) error { return removeAll(files) },
		"a byte has changed":   func(files []string) error { return flip(files[1]) },
		"the last has changed": func(files []string) error { return flip(files[len(files)-1]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, files := fill(t)
			if err := harm(files); err != nil {
				t.Fatal(err)
			}
			for range 2 { // it must not be forgotten
				if b, err := embedded.Start(t.Context(), cfg, zap.NewNop()); err == nil {
					b.Close()
					t.Fatal("the broker starts without a word")
				}
			}
		})
	}
}

func removeAll(files []string) error {
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	return nil
}

func flip(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 0x10
	return os.WriteFile(file, b, 0o600)
}
