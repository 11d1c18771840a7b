package attack

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

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
		var at [256]int
		for _, id := range ids {
			at[id[i]]++
		}
		for c, n := range at {
			// A fixed or favoured letter at one place: a counter, a clock, a prefix.
			if n > len(ids)/4+10 {
				t.Errorf("%s: letter %q stands at place %d in %d of %d", what, string(rune(c)), i, n, len(ids))
			}
		}
	}
}

// A10: what must not be guessed is long, random and never the same.
func TestA10_guessableTokens(t *testing.T) {
	t.Parallel()
	p := target(t)
	var resources, resumptions, tokens, cookies []string
	streams := p.streamIDs(t, scaled(10_000, 1_000_000))
	user := p.person(t)
	for range scaled(100, 3000) {
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
	b := p.browser(t)
	for range scaled(60, 6000) {
		tokens = append(tokens, b.login(t, user, server.Password))
		cookies = append(cookies, b.cookie.Value)
	}
	random(t, "stream id", streams, 128)
	random(t, "resource", resources, 64)
	random(t, "resumption id", resumptions, 128)
	random(t, "token", tokens, 128)
	random(t, "cookie", cookies, 128)
	p.loginTokens(t, scaled(60, 3000))
	p.slotTokens(t, scaled(200, 5000))
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
	c.Unlimited()
	for i := range scaled(300, 100_000) {
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
