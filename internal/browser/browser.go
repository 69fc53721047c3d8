package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// Browser is one running Chromium. It is safe for concurrent use.
type Browser struct {
	cmd     *exec.Cmd
	profile string
	to      io.WriteCloser
	ended   chan struct{} // closed when the pipe from the browser ends
	stderr  bytes.Buffer

	mu      sync.Mutex
	last    int
	waiting map[int]chan reply // by the number of the command
	pages   map[string]*Page   // by session
}

// command and reply are what the two sides of the protocol say.
type command struct {
	ID      int    `json:"id"`
	Session string `json:"sessionId,omitempty"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

type reply struct {
	ID      int             `json:"id"`
	Session string          `json:"sessionId"`
	Method  string          `json:"method"` // of an event
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Start finds a browser and starts it.
func Start(ctx context.Context) (*Browser, error) {
	p, err := find(ctx)
	if err != nil {
		return nil, err
	}
	b := &Browser{ended: make(chan struct{}), waiting: map[int]chan reply{}, pages: map[string]*Page{}}
	if b.profile, err = os.MkdirTemp("", "clickagg-browser-"); err != nil {
		return nil, fmt.Errorf("browser: %w", err)
	}
	if err := b.start(p); err != nil {
		return nil, fmt.Errorf("browser: start %s: %w", p.path, errors.Join(err, os.RemoveAll(b.profile)))
	}
	if err := b.call(ctx, "", "Browser.getVersion", nil, nil); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// start starts the process. It reads commands from its descriptor 3 and writes to 4.
func (b *Browser) start(p program) error {
	env, err := p.env(b.profile)
	if err != nil {
		return err
	}
	in, to, err := os.Pipe()
	if err != nil {
		return err
	}
	from, out, err := os.Pipe()
	if err != nil {
		return errors.Join(err, in.Close(), to.Close())
	}
	args := []string{
		"--headless", "--remote-debugging-pipe", "--user-data-dir=" + b.profile, "--no-first-run", "--disable-gpu",
		"--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
	}
	if os.Getuid() == 0 {
		args = append(args, "--no-sandbox") // Chromium's own sandbox refuses root
	}
	b.cmd = exec.Command(p.path, args...)
	b.cmd.Env = append(os.Environ(), env...)
	b.cmd.ExtraFiles = []*os.File{in, out}
	b.cmd.Stderr = &b.stderr
	b.cmd.SysProcAttr = ownGroup()
	err = errors.Join(b.cmd.Start(), in.Close(), out.Close())
	if err != nil {
		return errors.Join(err, to.Close(), from.Close())
	}
	b.to = to
	go b.listen(from)
	return nil
}

// listen hands what the browser says to whom it concerns, until the pipe ends.
func (b *Browser) listen(from io.ReadCloser) {
	defer close(b.ended)
	defer func() { _ = from.Close() }()
	r := bufio.NewReader(from)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m reply
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue // a message that is none concerns nobody; its command runs into its deadline
		}
		b.mu.Lock()
		waits, page := b.waiting[m.ID], b.pages[m.Session]
		delete(b.waiting, m.ID)
		b.mu.Unlock()
		switch {
		case m.Method == "" && waits != nil:
			waits <- m
		case page != nil:
			page.hear(m.Method, m.Params)
		}
	}
}

// call gives a command and waits for its result.
func (b *Browser) call(ctx context.Context, session, method string, params, result any) error {
	if params == nil {
		params = struct{}{}
	}
	answer := make(chan reply, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.waiting[id] = answer
	text, err := json.Marshal(command{id, session, method, params})
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("browser: %s: %w", method, err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("browser: %s: %s", method, m.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-b.ended:
		return fmt.Errorf("browser: %s: the browser has ended", method)
	case <-ctx.Done():
		return fmt.Errorf("browser: %s: %w", method, ctx.Err())
	}
}

// Close ends the browser and removes what it kept.
func (b *Browser) Close() error {
	err := b.to.Close()
	if kerr := b.cmd.Process.Kill(); !errors.Is(kerr, os.ErrProcessDone) {
		err = errors.Join(err, kerr)
	}
	<-b.ended
	_ = b.cmd.Wait() // it was killed
	return errors.Join(err, removeAll(b.profile))
}

// removeAll removes a directory in which a dying child may still make files.
func removeAll(dir string) (err error) {
	for range 10 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
	}
	return err
}
