package blob_test

import (
	"testing"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/blob/blobtest"
)

func TestDirKeepsTheContract(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Ranger {
		d, err := blob.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func TestTreeKeepsTheContract(t *testing.T) {
	t.Parallel()
	blobtest.RunPlain(t, func(t *testing.T) blob.Ranger {
		d, err := blob.OpenTree(t.TempDir() + "/") // not as clean as it could be
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
