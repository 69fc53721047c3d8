package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Look is how a reader sees pages. The zero Look is a light desktop.
type Look struct {
	Width, Height int  // in pixels; 0 means 1440 and 900
	Dark          bool // prefers-color-scheme
	Calm          bool // prefers-reduced-motion
}

// Page is a tab of its own. Its methods may be used by one goroutine at a time.
type Page struct {
	browser          *Browser
	session, context string

	mu     sync.Mutex
	errors []string
}

// Page opens an empty tab that shares nothing with others.
func (b *Browser) Page(ctx context.Context, l Look) (*Page, error) {
	var of struct {
		BrowserContextID string `json:"browserContextId"`
		TargetID         string `json:"targetId"`
		SessionID        string `json:"sessionId"`
	}
	if err := b.call(ctx, "", "Target.createBrowserContext", nil, &of); err != nil {
		return nil, err
	}
	if err := b.call(ctx, "", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": of.BrowserContextID}, &of); err != nil {
		return nil, err
	}
	if err := b.call(ctx, "", "Target.attachToTarget", map[string]any{"targetId": of.TargetID, "flatten": true}, &of); err != nil {
		return nil, err
	}
	p := &Page{browser: b, session: of.SessionID, context: of.BrowserContextID}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		if err := p.do(ctx, domain+".enable", nil); err != nil {
			return nil, err
		}
	}
	return p, p.Look(ctx, l)
}

// Close ends the tab.
func (p *Page) Close(ctx context.Context) error {
	p.browser.mu.Lock()
	delete(p.browser.pages, p.session)
	p.browser.mu.Unlock()
	return p.browser.call(ctx, "", "Target.disposeBrowserContext", map[string]any{"browserContextId": p.context}, nil)
}

func (p *Page) do(ctx context.Context, method string, params any) error {
	return p.browser.call(ctx, p.session, method, params, nil)
}

// Look changes how the reader sees the page.
func (p *Page) Look(ctx context.Context, l Look) error {
	if l.Width == 0 {
		l.Width, l.Height = 1440, 900
	}
	scheme, motion := "light", "no-preference"
	if l.Dark {
		scheme = "dark"
	}
	if l.Calm {
		motion = "reduce"
	}
	err := p.do(ctx, "Emulation.setDeviceMetricsOverride", map[string]any{
		"width": l.Width, "height": l.Height, "deviceScaleFactor": 1, "mobile": l.Width < 500,
	})
	if err != nil {
		return err
	}
	return p.do(ctx, "Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion},
	}})
}

// Open goes to an address. It does not wait for the page's scripts.
func (p *Page) Open(ctx context.Context, url string) error {
	var r struct {
		ErrorText string `json:"errorText"`
	}
	err := p.browser.call(ctx, p.session, "Page.navigate", map[string]any{"url": url}, &r)
	if err == nil && r.ErrorText != "" {
		err = fmt.Errorf("browser: open %s: %s", url, r.ErrorText)
	}
	return err
}

// Eval runs an expression in the page, waits for it if it is a promise, and puts its
// value into result, which may be nil.
func (p *Page) Eval(ctx context.Context, expression string, result any) error {
	var r struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	err := p.browser.call(ctx, p.session, "Runtime.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
	}, &r)
	if err != nil {
		return err
	}
	if r.Exception != nil {
		return fmt.Errorf("browser: %s: %s %s", expression, r.Exception.Text, r.Exception.Exception.Description)
	}
	if result == nil || r.Result.Value == nil {
		return nil
	}
	if err := json.Unmarshal(r.Result.Value, result); err != nil {
		return fmt.Errorf("browser: %s: %w", expression, err)
	}
	return nil
}

// Wait waits until an expression is true, or ctx ends.
func (p *Page) Wait(ctx context.Context, expression string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var is bool
		err := p.Eval(ctx, "!!("+expression+")", &is)
		if err == nil && is {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("browser: %s did not come true: %w", expression, ctx.Err())
		case <-tick.C:
		}
	}
}

// keys are the keys with a name: their code and what they write.
var keys = map[string]struct {
	code int
	text string
}{
	"Tab": {9, ""}, "Enter": {13, "\r"}, "Escape": {27, ""}, " ": {32, " "}, "End": {35, ""}, "Home": {36, ""},
	"ArrowLeft": {37, ""}, "ArrowUp": {38, ""}, "ArrowRight": {39, ""}, "ArrowDown": {40, ""},
}

// Press presses keys one after another, each by its name, such as Tab or ArrowDown.
func (p *Page) Press(ctx context.Context, names ...string) error {
	for _, name := range names {
		key, ok := keys[name]
		if !ok {
			return fmt.Errorf("browser: there is no key %q", name)
		}
		for _, kind := range []string{"keyDown", "keyUp"} {
			err := p.do(ctx, "Input.dispatchKeyEvent", map[string]any{
				"type": kind, "key": name, "code": strings.ReplaceAll(name, " ", "Space"), "windowsVirtualKeyCode": key.code, "text": key.text,
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Type writes a text where the cursor is.
func (p *Page) Type(ctx context.Context, text string) error {
	return p.do(ctx, "Input.insertText", map[string]any{"text": text})
}

// Screenshot is a PNG of what the reader sees.
func (p *Page) Screenshot(ctx context.Context) ([]byte, error) {
	var r struct {
		Data []byte `json:"data"`
	}
	err := p.browser.call(ctx, p.session, "Page.captureScreenshot", map[string]any{"format": "png"}, &r)
	return r.Data, err
}

// Errors is what the page complained about so far: errors and warnings on its
// console, exceptions, refused requests, breaches of its security policy.
func (p *Page) Errors() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.errors)
}

// hear notes what concerns Errors.
func (p *Page) hear(method string, params json.RawMessage) {
	var e struct {
		Type  string // of a console call
		Args  []struct{ Value, Description any }
		Entry struct{ Level, Text, URL string }
		Exc   struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	if json.Unmarshal(params, &e) != nil {
		return
	}
	var said string
	switch {
	case method == "Runtime.consoleAPICalled" && (e.Type == "error" || e.Type == "warning"):
		said = fmt.Sprint(e.Args)
	case method == "Runtime.exceptionThrown":
		said = e.Exc.Text + " " + e.Exc.Exception.Description
	case method == "Log.entryAdded" && (e.Entry.Level == "error" || e.Entry.Level == "warning"):
		said = e.Entry.Text + " " + e.Entry.URL
	default:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errors = append(p.errors, said)
}
