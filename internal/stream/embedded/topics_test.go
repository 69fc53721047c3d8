package embedded_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/clickagg/clickagg/internal/stream"
	"github.com/clickagg/clickagg/internal/stream/embedded"
)

// Without its list of topics the engine would make the topics anew and write
// over the records that are there.
func TestListOfTopicsLost(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"gone":    os.Remove,
		"flipped": func(path string) error { return os.WriteFile(path, []byte(`{"topics":[nul`), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := embedded.Config{Dir: t.TempDir(), Topics: []embedded.Topic{{Name: "clicks", Partitions: 1}}}
			b, stop := start(t, cfg)
			if err := connect(t, b).Append(t.Context(), "clicks", []stream.Message{{Value: []byte("x")}}); err != nil {
				t.Fatal(err)
			}
			stop()
			if err := damage(filepath.Join(cfg.Dir, "topics.json")); err != nil {
				t.Fatal(err)
			}
			cfg.Listen = "127.0.0.1:0"
			if _, err := embedded.Start(t.Context(), cfg, quiet(t)); !errors.Is(err, embedded.ErrDamaged) {
				t.Errorf("%v", err)
			}
		})
	}
}
