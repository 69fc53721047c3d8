package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// programs are the names under which systems install a Chromium.
var programs = []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"}

// packages are Debian's: the browser, and the fonts that stand for those of a
// reader's system, so that a page looks the same on every machine.
var packages = []string{"chromium-headless-shell", "fonts-inter", "fonts-jetbrains-mono"}

// fonts tells the unpacked browser which fonts there are. It names their place, so it is
// written at each start: what is unpacked may have been moved, or be seen by another path.
const fonts = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<dir>%[1]s/usr/share/fonts</dir>
<cachedir>%[1]s/fontcache</cachedir>
<alias><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
<alias><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
<alias><family>ui-monospace</family><prefer><family>JetBrains Mono</family></prefer></alias>
<alias><family>monospace</family><prefer><family>JetBrains Mono</family></prefer></alias>
</fontconfig>
`

// program is a browser.
type program struct {
	path     string
	unpacked string // where it and what it needs is unpacked; empty for one that is installed
}

// env is the environment the program needs; profile is a directory of its own.
func (p *program) env(profile string) ([]string, error) {
	if p.unpacked == "" {
		return nil, nil
	}
	var libs []string
	for _, pattern := range []string{"usr/lib/*-linux-gnu*", "usr/lib/*-linux-gnu*/pulseaudio", "lib/*-linux-gnu*"} {
		found, _ := filepath.Glob(filepath.Join(p.unpacked, pattern)) // only a bad pattern is an error
		libs = append(libs, found...)
	}
	file := filepath.Join(profile, "fonts.conf")
	return []string{"LD_LIBRARY_PATH=" + strings.Join(libs, ":"), "FONTCONFIG_FILE=" + file},
		os.WriteFile(file, fmt.Appendf(nil, fonts, p.unpacked), 0o600)
}

// Find makes sure that there is a browser: the one that the variable CHROMIUM names,
// else the unpacked one in the repository's .cache, else an installed one, else it
// downloads Debian's. Several processes may call it at the same time.
func Find(ctx context.Context) error {
	_, err := find(ctx)
	return err
}

func find(ctx context.Context) (program, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return program{path: path}, nil
	}
	cache, err := cacheDir()
	if err != nil {
		return program{}, err
	}
	unlock, err := lock(cache + ".lock")
	if err != nil {
		return program{}, fmt.Errorf("browser: %w", err)
	}
	defer unlock()
	if p, ok := unpacked(cache); ok {
		return p, nil
	}
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return program{path: path}, nil
		}
	}
	if err := download(ctx, cache); err != nil {
		return program{}, fmt.Errorf("browser: no Chromium is installed, and Debian's cannot be had; install one, or name one in CHROMIUM: %w", err)
	}
	p, _ := unpacked(cache)
	return p, nil
}

// unpacked is the browser in the cache.
func unpacked(cache string) (program, bool) {
	path := filepath.Join(cache, "usr/lib/chromium/chromium-headless-shell")
	_, err := os.Stat(path)
	return program{path, cache}, err == nil
}

// download unpacks the packages and the libraries that this machine lacks: beside
// their place, and moved there when complete. The package lists are its own, so
// that old ones of the machine do no harm and nobody needs to be root.
func download(ctx context.Context, cache string) error {
	for _, tool := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	fresh, err := os.MkdirTemp(filepath.Dir(cache), ".new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	root, archives := filepath.Join(fresh, "root"), filepath.Join(fresh, "archives")
	for _, dir := range []string{root, filepath.Join(archives, "partial"), filepath.Join(fresh, "lists", "partial")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	apt := []string{
		"-qq", "-y", "-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1", "-o", "Dir::State::lists=" + filepath.Join(fresh, "lists"),
		"-o", "Dir::Cache=" + fresh, "-o", "Dir::Cache::archives=" + archives,
	}
	install := append([]string{"--download-only", "--no-install-recommends", "install"}, packages...)
	for _, args := range [][]string{{"update"}, install} {
		if err := run(ctx, "apt-get", append(apt, args...)...); err != nil {
			return err
		}
	}
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if err := run(ctx, "dpkg", "-x", deb, root); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(cache), os.Rename(root, cache))
}

func run(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// cacheDir is where the browser is kept: in the repository that the test belongs to.
func cacheDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("browser: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			cache := filepath.Join(at, ".cache")
			return filepath.Join(cache, "browser"), os.MkdirAll(cache, 0o755)
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("browser: %s is in no Go module", dir)
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
