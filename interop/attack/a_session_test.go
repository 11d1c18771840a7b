package attack

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// random demands that ids are long enough for their alphabet to hold 128 bits,
// all different, and that none of their letters stands still or is preferred.
func random(t *testing.T, what string, ids []string, bits float64) {
	t.Helper()
	seen, letters := map[string]bool{}, map[rune]int{}
	total := 0
	for _, id := range ids {
		if seen[id] {
			t.Errorf("%s: %q came twice", what, id)
		}
		seen[id] = true
		for _, r := range id {
			letters[r]++
			total++
		}
	}
	shortest := math.MaxInt
	for _, id := range ids {
		shortest = min(shortest, len(id))
	}
	have := float64(shortest) * math.Log2(float64(len(letters)))
	t.Logf("%s: %d samples of %d letters out of %d: %.0f bits, like %q", what, len(ids), shortest, len(letters), have, ids[0])
	if have < bits {
		t.Errorf("%s: %.0f bits, want %.0f", what, have, bits)
	}
	for i := range shortest {
		at := map[byte]int{}
		for _, id := range ids {
			at[id[i]]++
		}
		for c, n := range at {
			// A fixed or favoured letter at one place: a counter, a clock, a prefix.
			if n > len(ids)/4+10 {
				t.Errorf("%s: letter %q stands at place %d in %d of %d", what, c, i, n, len(ids))
			}
		}
	}
}

// A10: what must not be guessed is long, random and never the same.
func TestA10_guessableTokens(t *testing.T) {
	t.Parallel()
	p := target(t)
	var streams, resources, resumptions, tokens, cookies []string
	for range 300 {
		c := p.at(t, opened, "")
		streams = append(streams, c.Header.Get("id"))
		_ = c.Close()
	}
	user := p.person(t)
	for range 100 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		o := p.options(user, "")
		o.SM = true
		c, err := client.Login(ctx, o)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		_, res, _ := strings.Cut(c.JID, "/")
		resources, resumptions = append(resources, res), append(resumptions, c.SMID)
		c.Close()
	}
	for range 60 {
		b := p.browser(t)
		tokens = append(tokens, b.login(t, user, server.Password))
		cookies = append(cookies, b.cookie.Value)
	}
	random(t, "stream id", streams, 128)
	random(t, "resource", resources, 64)
	random(t, "resumption id", resumptions, 128)
	random(t, "token", tokens, 128)
	random(t, "cookie", cookies, 128)
}

// resume tries to take a session up as user, and returns what came of it:
// "resumed", or the condition it was refused with.
func (p *place) resume(t testing.TB, user, pass, id string, h uint32) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o := p.options(user, "")
	o.Pass, o.Resume = pass, &client.Resume{ID: id, H: h}
	c, err := client.Login(ctx, o)
	if failed := (*client.ResumeFailed)(nil); errors.As(err, &failed) {
		for _, k := range failed.Node.Kids {
			return k.Name.Local
		}
		return "failed"
	}
	if err != nil {
		t.Fatalf("resume as %s: %v", user, err)
	}
	t.Cleanup(c.Close)
	return "resumed"
}

// A11: a session is resumed by its own account alone, as long as it lives.
func TestA11_resumeHijack(t *testing.T) {
	t.Parallel()
	p := target(t)
	owner, thief := p.person(t), p.person(t)
	sm := func(o *client.Options) { o.SM = true }
	live := p.login(t, owner, "live", sm)
	for what, try := range map[string]struct{ user, id string }{
		"another's live session": {thief, live.SMID},
		"cut short":              {owner, live.SMID[:len(live.SMID)-1]},
		"one letter more":        {owner, live.SMID + "A"},
		"other case":             {owner, strings.ToLower(live.SMID)},
		"the resource":           {owner, "live"},
		"a full JID":             {owner, live.JID},
	} {
		if got := p.resume(t, try.user, server.Password, try.id, 0); got != "item-not-found" {
			t.Errorf("%s: %s, want item-not-found", what, got)
		}
	}
	c := p.at(t, authed, thief)
	for i := range 300 {
		if err := c.Send("<resume xmlns='urn:xmpp:sm:3' previd='" + client.Token() + "' h='0'/>"); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Next(); err != nil || n.Name.Local != "failed" || n.Kid("", "item-not-found") == nil {
			t.Fatalf("guess %d: %v %v", i, n, err)
		}
	}
	if err := live.Fence(patience); err != nil {
		t.Errorf("the owner's session after all that: %v", err)
	}
	// The owner on a new connection: the old one hears of the conflict, once.
	old := p.login(t, owner, "moved", sm)
	if got := p.resume(t, owner, server.Password, old.SMID, 0); got != "resumed" {
		t.Fatalf("the owner's own resumption: %s", got)
	}
	var bad *client.StreamError
	if err := old.Closed(closedWithin); !errors.As(err, &bad) || bad.Node.Condition() != "conflict" {
		t.Errorf("the old connection ended by %v, want conflict (XEP-0198 §5)", err)
	}
	conflicts := 0
	for _, n := range old.Drain() {
		if n.Name.Local == "error" {
			conflicts++
		}
	}
	if conflicts != 1 {
		t.Errorf("%d stream errors at the old connection", conflicts)
	}
	// A goodbye ends it for good (XEP-0198 §5).
	gone := p.login(t, owner, "gone", sm)
	gone.Close()
	if got := p.resume(t, owner, server.Password, gone.SMID, 0); got != "item-not-found" {
		t.Errorf("after </stream:stream>: %s", got)
	}
	// So does a new password, for one that waits to be resumed.
	waits := p.login(t, owner, "waits", sm)
	waits.Cut()
	if err := p.user("another password\n", "passwd", owner, stdinFlag); err != nil {
		t.Fatal(err)
	}
	if got := p.resume(t, owner, "another password", waits.SMID, 0); got != "item-not-found" {
		t.Errorf("after a new password: %s", got)
	}
}

// A12: when somebody is locked out, everything they had is dead within 5 s.
func TestA12_staleCredentials(t *testing.T) {
	t.Parallel()
	p := target(t)
	victim := p.login(t, p.person(t), "victim")
	for _, how := range []struct {
		what string
		do   func(user string) error
	}{
		{"password changed", func(u string) error { return p.user("another password\n", "passwd", u, stdinFlag) }},
		{"disabled", func(u string) error { return p.user("", "disable", u) }},
		{"removed", func(u string) error { return p.user("", "remove", u, "--yes") }},
	} {
		user := p.person(t)
		b := p.browser(t)
		token := b.login(t, user, server.Password)
		sessions := []*client.Client{
			p.login(t, user, "plain"),
			p.login(t, user, "sm", func(o *client.Options) { o.SM = true }),
			p.login(t, user, "direct", func(o *client.Options) { o.Addr, o.DirectTLS = p.C2STLS, true }),
		}
		w := p.websocketBound(t, user)
		cut := p.login(t, user, "cut", func(o *client.Options) { o.SM = true })
		cut.Cut()
		unbound := p.at(t, authed, user)
		began := time.Now()
		if err := how.do(user); err != nil {
			t.Fatal(err)
		}
		for _, s := range sessions {
			var bad *client.StreamError
			if err := s.Closed(closedWithin); !errors.As(err, &bad) || bad.Node.Condition() != "not-authorized" {
				t.Errorf("%s: session %s ended by %v", how.what, s.JID, err)
			}
		}
		if e := w.last(nil); e.err != nil || e.condition != "not-authorized" {
			t.Errorf("%s: WebSocket ended by %q, %v", how.what, e.condition, e.err)
		}
		t.Logf("%s: all sessions ended within %v", how.what, time.Since(began).Round(time.Millisecond))
		// Logged in, but not bound yet: whether or not the binding is answered, the
		// stream ends and nothing gets through.
		closed(t, how.what+": a login that was not bound yet", unbound, bindIQ+"<message type='chat' to='"+victim.JID+"'><body>late</body></message>", "not-authorized")
		nothingRouted(t, victim)
		if status, text := b.call(t, "POST", "/api/v1/token", ""); status != http.StatusUnauthorized {
			t.Errorf("%s: the cookie still gives %d %s", how.what, status, text)
		}
		p.stale(t, how.what, user, token, cut.SMID)
	}
}

// stale tries old password and token.
func (p *place) stale(t *testing.T, what, user, token, smID string) {
	t.Helper()
	for mech, data := range map[string]string{
		"PLAIN":       "\x00" + user + "\x00" + server.Password,
		"OAUTHBEARER": "n,,\x01auth=Bearer " + token + "\x01\x01",
	} {
		c := p.at(t, secured, "")
		n, err := c.SASL("auth", mech, data)
		if err == nil && n.Name.Local == "challenge" {
			n, err = c.SASL("response", "", "\x01")
		}
		if err != nil || n.Name.Local != "failure" {
			t.Errorf("%s: %s still works: %v %v", what, mech, n, err)
		}
	}
	if what == "password changed" {
		if got := p.resume(t, user, "another password", smID, 0); got != "item-not-found" {
			t.Errorf("%s: the cut session: %s", what, got)
		}
	}
	if what == "disabled" {
		if err := p.user("", "enable", user); err != nil {
			t.Fatal(err)
		}
		if got := p.resume(t, user, server.Password, smID, 0); got != "item-not-found" {
			t.Errorf("%s, enabled again: the cut session: %s", what, got)
		}
	}
}
