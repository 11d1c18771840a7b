package c2s_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// startHosts serves acme.test and, as long as gone is false, b.test.
func startHosts(t *testing.T) (b *bench, gone *atomic.Bool) {
	t.Helper()
	gone = new(atomic.Bool)
	all := map[string]*c2s.Host{}
	for _, h := range []c2s.Host{
		{Domain: jid.MustParse(edgetest.Domain)},
		{Domain: jid.MustParse("b.test"), Mechanisms: []string{"SCRAM-SHA-256"}, Stanza: elem.Limits{Bytes: 20000, Depth: 50, Elements: 100, Attrs: 64, Decls: 64},
			Features: []*elem.Element{elem.New("urn:test", "only-b")}},
	} {
		full, err := c2s.NewHost(h)
		if err != nil {
			t.Fatal(err)
		}
		all[h.Domain.Domain()] = full
	}
	b = start(t, func(c *c2s.Config) {
		c.Hosts = func(domain string) *c2s.Host {
			if domain == "b.test" && gone.Load() {
				return nil
			}
			return all[domain]
		}
	})
	return b, gone
}

func (b *bench) connectTo(domain string) *client.Conn {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Connect(ctx, b.addr, domain, "")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

// ended wants the stream error and the end of the stream.
func ended(t *testing.T, what, condition string, err error) {
	t.Helper()
	var e *client.StreamError
	if !errors.As(err, &e) || e.Node.Condition() != condition {
		t.Errorf("%s: %v, want %s", what, err, condition)
	}
}

// HARDENING X11: a stream stays with the host it began with.
func TestHosts_aStreamDoesNotChangeItsHost(t *testing.T) {
	b, gone := startHosts(t)
	ctx := t.Context()
	// RFC 6120 §4.9.3.6
	ended(t, "unknown host", "host-unknown", b.connectTo("c.test").OpenStream())
	for _, way := range [][2]string{{edgetest.Domain, "b.test"}, {"b.test", edgetest.Domain}} {
		c := b.connectTo(way[0])
		if err := c.OpenStream(); err != nil {
			t.Fatal(err)
		}
		c.Domain = way[1]
		ended(t, "behind STARTTLS", "host-unknown", c.StartTLS(ctx))

		c = b.connectTo(way[0])
		if err := errors.Join(c.OpenStream(), c.StartTLS(ctx)); err != nil {
			t.Fatal(err)
		}
		c.Domain = way[1]
		err := c.Auth("SCRAM-SHA-256", "alice", edgetest.Password)
		ended(t, "behind the login", "host-unknown", err)
	}
	// RFC 6120 §4.9.3.5: it was removed between two headers.
	c := b.connectTo("b.test")
	if err := c.OpenStream(); err != nil {
		t.Fatal(err)
	}
	gone.Store(true)
	ended(t, "removed", "host-gone", c.StartTLS(ctx))
	ended(t, "removed before", "host-unknown", b.connectTo("b.test").OpenStream())
}

func TestHosts_eachHasItsOwnFeatures(t *testing.T) {
	b, _ := startHosts(t)
	for domain, n := range map[string]int{edgetest.Domain: 8, "b.test": 1} {
		c := b.connectTo(domain)
		if err := errors.Join(c.OpenStream(), c.StartTLS(t.Context())); err != nil {
			t.Fatal(err)
		}
		if got := c.Mechanisms(); len(got) != n {
			t.Errorf("%s: %v", domain, got)
		}
		if err := c.Auth("SCRAM-SHA-256", "alice", edgetest.Password); err != nil {
			t.Fatal(err)
		}
		own := c.Features.Kid("urn:test", "only-b") != nil
		most := c.Features.Path("limits", "max-bytes")
		if b := domain == "b.test"; own != b || most == nil || (most.Text == "20000") != b {
			t.Errorf("%s: %v", domain, c.Features)
		}
		full, err := c.Bind("r")
		if want := "alice@" + domain + "/r"; err != nil || full != want {
			t.Errorf("bound to %s: %v", full, err)
		}
	}
}
