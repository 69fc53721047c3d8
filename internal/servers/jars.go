package servers

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"syscall"
)

// The newest version of each server, which tests run unless told otherwise by
// E2E_KAFKA and E2E_CASSANDRA, and the older line that users still run.
const (
	Kafka41     = "kafka-4.1"
	Kafka39     = "kafka-3.9"
	Cassandra50 = "cassandra-5.0"
	Cassandra41 = "cassandra-4.1"
)

// poms say which artifacts a server consists of, one directory a version.
//
//go:embed maven/*/pom.xml
var poms embed.FS

// Download makes sure that a version's jars are in the cache, .cache/servers in the
// repository, and returns the directory they are in. It asks Maven for them once;
// several processes may call it at the same time.
func Download(ctx context.Context, version string) (lib string, err error) {
	pom, err := poms.ReadFile(path.Join("maven", version, "pom.xml"))
	if err != nil {
		return "", fmt.Errorf("servers: there is no version %q; see internal/servers/maven", version)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(cache, version+".lock"))
	if err != nil {
		return "", fmt.Errorf("servers: %w", err)
	}
	defer unlock()

	// What is there counts only if it was made from the pom as it is today.
	dir := filepath.Join(cache, version)
	if had, err := os.ReadFile(filepath.Join(dir, "pom.xml")); err == nil && bytes.Equal(had, pom) {
		return filepath.Join(dir, "lib"), nil
	}
	if err := resolve(ctx, cache, dir, pom); err != nil {
		return "", fmt.Errorf("servers: the jars of %s: %w", version, err)
	}
	return filepath.Join(dir, "lib"), nil
}

// resolve fills a directory anew: beside its place, and moved there when complete.
func resolve(ctx context.Context, cache, dir string, pom []byte) error {
	mvn, err := tool("mvn", "Maven", "maven")
	if err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(cache, ".new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	file := filepath.Join(fresh, "pom.xml")
	if err := os.WriteFile(file, pom, 0o600); err != nil {
		return err
	}
	c := exec.CommandContext(ctx, mvn, "-q", "-B", "-f", file, "dependency:copy-dependencies",
		"-DoutputDirectory="+filepath.Join(fresh, "lib"))
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn: %w\n%s", err, last(out))
	}
	return errors.Join(os.RemoveAll(dir), os.Rename(fresh, dir))
}

// cacheDir is where jars are kept: in the repository that the test belongs to.
func cacheDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("servers: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			cache := filepath.Join(at, ".cache", "servers")
			return cache, os.MkdirAll(cache, 0o755)
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("servers: %s is in no Go module", dir)
		}
	}
}

// lock claims a file, and waits for another process that has it.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// tool finds a program, or says how to get it.
func tool(program, name, debian string) (string, error) {
	found, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%s is missing, which runs the real servers of the tests: install it (Debian: apt-get install %s)", name, debian)
	}
	return found, nil
}

func java() (string, error) { return tool("java", "Java 17", "openjdk-17-jdk-headless") }
