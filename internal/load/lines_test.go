package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

func TestLines(t *testing.T) {
	t.Parallel()
	text := "one\n\n" + strings.Repeat("x", lineMax+1) + "\nfour"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "clicks.gz")
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"-", file} {
		var got []string
		err := Lines(t.Context(), name, strings.NewReader(text), func(line int64, value []byte, err error) {
			got = append(got, fmt.Sprintf("%d %s %v", line, value, err != nil))
		})
		if want := []string{"1 one false", "3  true", "4 four false"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if err := Lines(t.Context(), "nowhere", nil, nil); err == nil {
		t.Error("a file that is not there was read")
	}
	if err := os.WriteFile(file, packed.Bytes()[:packed.Len()/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Lines(t.Context(), file, nil, func(int64, []byte, error) {}); err == nil {
		t.Error("a file that was cut short was read")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Lines(ctx, "-", strings.NewReader(text), nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
