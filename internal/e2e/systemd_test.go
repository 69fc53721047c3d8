package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clickagg/clickagg/config"
)

const (
	units = "../../deploy/systemd"
	unit  = "clickagg@.service"
)

// worst is the exposure that systemd-analyze may find, in tenths of its scale.
const worst = 15

// TestUnitIsWhatItPromises reads the unit as a user would, without systemd.
func TestUnitIsWhatItPromises(t *testing.T) {
	t.Parallel()
	u := readUnit(t, filepath.Join(units, unit))
	for key, want := range map[string][]string{
		"Service.Type":               {"notify"},
		"Service.KillSignal":         {"SIGTERM"},
		"Service.ExecReload":         {"/bin/kill -HUP $MAINPID"},
		"Service.Restart":            {"always"},
		"Service.DynamicUser":        {"yes"},
		"Service.StateDirectory":     {"clickagg/%i clickagg/snapshots clickagg/cold"},
		"Service.EnvironmentFile":    {"-/etc/clickagg/%i.env"},
		"Service.Environment":        {"ROLE=%i", "CLICKAGG_DATA_DIR=%S/clickagg/%i", "GOTRACEBACK=crash"},
		"Unit.StartLimitIntervalSec": {"0"},
		// Wrong configuration and lost data: main's own statuses.
		"Service.RestartPreventExitStatus": {"2 4"},
	} {
		if got := u[key]; !slices.Equal(got, want) {
			t.Errorf("%s=%q, want %q", key, got, want)
		}
	}
	for _, key := range []string{
		"CapabilityBoundingSet", "LockPersonality", "MemoryDenyWriteExecute", "MemoryMax", "NoNewPrivileges", "PrivateDevices", "PrivateTmp",
		"PrivateUsers", "ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules",
		"ProtectKernelTunables", "ProtectProc", "ProtectSystem", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime",
		"RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter", "LimitNOFILE", "OOMPolicy", "WatchdogSec",
	} {
		if len(u["Service."+key]) == 0 {
			t.Errorf("there is no %s=", key)
		}
	}
	stop, err := time.ParseDuration(strings.Join(u["Service.TimeoutStopSec"], " "))
	if own := config.Default().Shutdown.Timeout; err != nil || stop <= own {
		t.Errorf("TimeoutStopSec=%v, %v: it must be more than shutdown.timeout, %v", stop, err, own)
	}
	help, _, _ := run(t, "run", "--help")
	for _, word := range strings.Fields(strings.Join(u["Service.ExecStart"], " "))[2:] {
		flag, _, _ := strings.Cut(word, "=")
		contains(t, help, flag)
	}
}

// TestUnitPassesSystemd asks systemd's own tool about the unit, alone and with what
// the examples add to it.
func TestUnitPassesSystemd(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		const need = "this test needs systemd-analyze: install systemd (Debian: apt-get install systemd)"
		if os.Getenv("CI") != "" {
			t.Fatal(need)
		}
		t.Skip(need)
	}
	for _, examples := range [][]string{nil, {"secrets.conf", "limits.conf", "background.conf"}} {
		dir := t.TempDir()
		// The program need not be installed here, but systemd wants to see one.
		body := strings.ReplaceAll(text(t, filepath.Join(units, unit)), "/usr/local/bin/clickagg", os.Args[0])
		place(t, filepath.Join(dir, unit), body)
		place(t, filepath.Join(dir, "clickagg.target"), text(t, filepath.Join(units, "clickagg.target")))
		for _, e := range examples {
			place(t, filepath.Join(dir, unit+".d", e), text(t, filepath.Join(units, "examples", e)))
		}
		analyze := func(args ...string) string {
			t.Helper()
			out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
			}
			return string(out)
		}
		instance := filepath.Join(dir, "clickagg@mapper.service")
		if said := analyze("verify", "--man=no", instance, filepath.Join(dir, "clickagg.target")); said != "" {
			t.Errorf("verify: %s", said)
		}
		said := analyze("security", "--offline=true", "--no-pager", "--threshold="+strconv.Itoa(worst), filepath.Join(dir, unit))
		t.Log(said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:])
	}
}

// TestHungProcessIsStartedAgain: the signal by which systemd ends a process without
// signs of life must not look like an exit with status 2, after which it stays down.
func TestHungProcessIsStartedAgain(t *testing.T) {
	t.Setenv("GOTRACEBACK", "crash")
	ctx := limited(t)
	s := newServer(t)
	s.start()
	s.ready(ctx)
	if err := s.cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	err := <-s.ended
	s.cmd = nil
	var e *exec.ExitError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if w, ok := e.Sys().(syscall.WaitStatus); !ok || !w.Signaled() || w.Signal() != syscall.SIGABRT {
		t.Errorf("it ended with %v", e)
	}
}

// readUnit reads a unit's settings by section and key. A key may stand many times.
func readUnit(t *testing.T, file string) map[string][]string {
	t.Helper()
	settings := map[string][]string{}
	section := ""
	for line := range strings.Lines(text(t, file)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("%s: %q is no setting", file, line)
		}
		settings[section+"."+key] = append(settings[section+"."+key], value)
	}
	return settings
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func place(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
