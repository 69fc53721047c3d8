package servers

import (
	"os"
	"testing"
)

// TestDownloadS3 is for make servers.
func TestDownloadS3(t *testing.T) {
	program, err := DownloadS3(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Error(err)
	}
}

func TestS3(t *testing.T) {
	if _, err := DownloadS3(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx := limited(t)
	s, err := StartS3(ctx, S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.MakeBucket(ctx, "kept"); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := s.MakeBucket(ctx, "away"); err == nil {
		t.Error("a killed server answers")
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.MakeBucket(ctx, "kept"); err == nil {
		t.Error("the bucket is lost")
	}
}
