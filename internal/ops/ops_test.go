package ops

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/clickagg/clickagg/config"
)

func TestLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", st.Mode(), err)
	}
	_, err = Lock(dir)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) {
		t.Errorf("a second claim: %v", err)
	}
	unlock()
	again, err := Lock(dir)
	if err != nil {
		t.Fatalf("after it was let go: %v", err)
	}
	again()
}

func TestLockNeedsADirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(file); err == nil || !strings.Contains(err.Error(), "data_dir") {
		t.Errorf("%v", err)
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"console", "json"} {
		if _, err := Logger(config.Log{Level: "warn", Format: format}); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
	if _, err := Logger(config.Log{Level: "loud", Format: "json"}); err == nil {
		t.Error("a level nobody knows was taken")
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if v := Version(); !strings.HasPrefix(v, "clickagg ") {
		t.Errorf("%q", v)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	if n, err := testutil.GatherAndCount(Registry(), "go_goroutines"); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
}
