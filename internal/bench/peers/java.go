package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed jobs
var jobs embed.FS

// buildJob compiles a job of jobs/ into a directory of the cache, with the jars it
// needs, unless just that is there already. It returns the class path.
func buildJob(ctx context.Context, cache, name string, say func(string, ...any)) (classPath string, err error) {
	dir := filepath.Join(cache, name)
	classes, lib, stamp := filepath.Join(dir, "classes"), filepath.Join(dir, "lib"), filepath.Join(dir, "built")
	classPath = classes + string(os.PathListSeparator) + filepath.Join(lib, "*")
	src := filepath.Join(dir, "src")
	sum, files, err := unpackJob(name, src)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	if had, err := os.ReadFile(stamp); err == nil && string(had) == sum {
		return classPath, nil
	}
	say("building the job of %s; the first time its jars are downloaded", name)
	for _, d := range []string{classes, lib} {
		if err := os.RemoveAll(d); err != nil {
			return "", fmt.Errorf("build %s: %w", name, err)
		}
	}
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", filepath.Join(src, "pom.xml"), "dependency:copy-dependencies", "-DoutputDirectory="+lib)
	if out, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: mvn: %w\n%s", name, err, out)
	}
	args := append([]string{"-nowarn", "-d", classes, "-cp", filepath.Join(lib, "*")}, files...)
	if out, err := exec.CommandContext(ctx, "javac", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: javac: %w\n%s", name, err, out)
	}
	if err := os.WriteFile(stamp, []byte(sum), 0o600); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return classPath, nil
}

// unpackJob writes a job's sources and what all jobs share into a directory, and
// returns their checksum and the names of those in Java.
func unpackJob(name, dir string) (sum string, java []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	hash := sha256.New()
	for _, from := range []string{"jobs/common", "jobs/" + name} {
		entries, err := fs.ReadDir(jobs, from)
		if err != nil {
			return "", nil, err
		}
		for _, e := range entries {
			text, err := jobs.ReadFile(from + "/" + e.Name())
			if err != nil {
				return "", nil, err
			}
			hash.Write(text)
			file := filepath.Join(dir, e.Name())
			if err := os.WriteFile(file, text, 0o600); err != nil {
				return "", nil, err
			}
			if filepath.Ext(file) == ".java" {
				java = append(java, file)
			}
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), java, nil
}
