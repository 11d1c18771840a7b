package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// DemoOptions are the flags of `parlance demo`.
type DemoOptions struct {
	Data           string // folder; "" for a fresh temporary one
	Domain         string
	HTTP           string // listen addresses; loopback only, port 0 lets the kernel choose
	C2S            string
	C2STLS         string
	PlaintextLogin bool
	Version        string
	Out            io.Writer
	Log            *slog.Logger
}

// demoPassword is everybody's. Because of it the demo answers on loopback only.
const demoPassword = "parlance"

var demoPeople = []struct{ user, name string }{
	{"alice", "Alice Archer"}, {"bob", "Bob Baker"}, {"carol", "Carol Cooper"},
	{"dave", "Dave Draper"}, {"erin", "Erin Ellis"}, {"admin", "Administrator"},
}

// Demo runs a sample company until ctx ends.
func Demo(ctx context.Context, o DemoOptions) error {
	for _, addr := range []string{o.HTTP, o.C2S, o.C2STLS} {
		if !Loopback(addr) {
			return fmt.Errorf("demo: %s is not a loopback address; the demo's passwords are public, so it answers on 127.0.0.1 only", addr)
		}
	}
	if o.Data == "" {
		dir, err := os.MkdirTemp("", "parlance-demo-")
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		o.Data = dir
		fmt.Fprintf(o.Out, "data in %s\n", dir)
	}
	cfg := Default()
	cfg.Domain, cfg.Data, cfg.Name = o.Domain, o.Data, "Acme (demo)"
	cfg.Listen.C2S, cfg.Listen.C2STLS, cfg.Listen.HTTPS = []string{o.C2S}, []string{o.C2STLS}, []string{o.HTTP}
	cfg.Login.Plaintext = o.PlaintextLogin
	// Test suites make nodes, and ask rooms for lists that only those give where
	// people know each other's addresses.
	cfg.Nodes.Create, cfg.Rooms.Known = o.PlaintextLogin, o.PlaintextLogin
	if o.PlaintextLogin {
		// Nobody answers there; suites look at what clients are told.
		cfg.Calls.Services, cfg.Calls.Secret = []string{"turn:127.0.0.1?transport=udp", "stun:127.0.0.1"}, rand.Text()
	}
	ac := accountConfig(cfg)
	ac.AnyPassword = true
	for {
		err := serve(ctx, cfg, Options{Version: o.Version, Out: o.Out, Log: o.Log}, ac, sampleCompany)
		if err != errRestart { //nolint:errorlint // as in Run
			return err
		}
	}
}

// sampleCompany makes the demo's people at the first start. If that was cut
// short, the history, which comes last, is not there, and it is made whole.
func sampleCompany(ctx context.Context, c *core, e *edges, out io.Writer) error {
	n, err := c.accounts.Count(ctx)
	if err != nil {
		return err
	}
	if n == 0 || c.archive.Last() == 0 {
		if err := c.populate(ctx); err != nil {
			return fmt.Errorf("demo: sample company: %w", err)
		}
	}
	var names []string
	for _, p := range demoPeople {
		names = append(names, p.user+"@"+c.domain.Domain())
	}
	fmt.Fprintf(out, "accounts %s\npassword %s\n", strings.Join(names, " "), demoPassword)
	e.announce(out)
	for _, l := range e.listeners {
		if l.kind == "http" {
			fmt.Fprintf(out, "open https://%s\n", l.ln.Addr())
		}
	}
	return nil
}

func (c *core) populate(ctx context.Context) error {
	who := map[string]jid.JID{}
	for _, p := range demoPeople {
		j, err := jid.New(p.user, c.domain.Domain(), "")
		if err != nil {
			return err
		}
		who[p.user] = j
		err = c.accounts.Create(ctx, j, demoPassword, account.Options{Name: p.name, Admin: p.user == "admin"})
		if err != nil && !errors.Is(err, account.ErrExists) {
			return err
		}
	}
	friends := []struct{ a, b, nameA, nameB string }{
		{"alice", "bob", "Alice Archer", "Bob Baker"}, {"alice", "carol", "Alice Archer", "Carol Cooper"},
		{"bob", "carol", "Bob Baker", "Carol Cooper"},
	}
	for _, f := range friends {
		if err := c.rosters.Befriend(ctx, who[f.a], who[f.b], f.nameA, f.nameB, "Colleagues"); err != nil {
			return err
		}
	}
	return c.history(ctx, who)
}

// history is a little of what was said before.
func (c *core) history(ctx context.Context, who map[string]jid.JID) error {
	lines := []struct {
		from, to, text string
		ago            time.Duration
	}{
		{"alice", "bob", "Morning Bob, did the archive test run through last night?", 26 * time.Hour},
		{"bob", "alice", "It did. Two hundred power cuts, nothing lost.", 26*time.Hour - 2*time.Minute},
		{"alice", "bob", "Lovely. I'll tell Carol.", 26*time.Hour - 3*time.Minute},
		{"alice", "carol", "The archive test is through, the audit can start on Monday.", 25 * time.Hour},
		{"carol", "alice", "Great, I'll put it on the agenda.", 25*time.Hour - 5*time.Minute},
		{"bob", "carol", "Coffee at ten?", 3 * time.Hour},
		{"carol", "bob", "Always.", 3*time.Hour - time.Minute},
	}
	now := time.Now()
	var errs []error
	for _, l := range lines {
		errs = append(errs, c.send(ctx, who[l.from], who[l.to], l.text, now.Add(-l.ago)))
	}
	return errors.Join(errs...)
}
