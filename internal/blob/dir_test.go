package blob_test

import (
	"testing"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/blob/blobtest"
)

func TestDirKeepsTheContract(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store {
		d, err := blob.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
