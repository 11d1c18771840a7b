package last

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

var (
	alice = jid.MustParse("alice@x.test/1")
	bob   = jid.MustParse("bob@x.test")
	carol = jid.MustParse("carol@x.test")
	dave  = jid.MustParse("dave@x.test")
	host  = jid.MustParse("x.test")
)

// ask finds the handler for a request as im/deliver does.
func ask(t *testing.T, c Config, scope im.Scope, to jid.JID) (*elem.Element, error) {
	t.Helper()
	for _, r := range Feature(c).IQ {
		if r.Scope&scope != 0 && r.Type == stanza.Get {
			return r.Handle(t.Context(), &im.IQ{Type: stanza.Get, From: alice, To: to})
		}
	}
	t.Fatal("nobody answers")
	return nil, nil
}

func TestLast_whoIsAsked(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	broken := errors.New("broken")
	c := Config{Started: now.Add(-time.Hour), Now: func() time.Time { return now },
		Online: func(j jid.JID) bool { return j == alice.Bare() },
		Seen: func(_ context.Context, j jid.JID) (time.Time, string, bool) {
			return now.Add(-90 * time.Second), "gone <home>", j == bob
		},
		MaySee: func(_ context.Context, owner, asker jid.JID) (bool, error) {
			if owner == host {
				return false, broken
			}
			return asker == alice.Bare() && owner != dave, nil
		}}
	for name, q := range map[string]struct {
		scope         im.Scope
		to            jid.JID
		seconds, text string
		err           string
	}{
		"the server's uptime (XEP-0012 §5)":        {im.ToHost, host, "3600", "", ""},
		"oneself, online (XEP-0012 §4)":            {im.ToSelf, alice.Bare(), "0", "", ""},
		"somebody away (XEP-0012 §3)":              {im.ToAccount, bob, "90", "gone <home>", ""},
		"somebody never seen":                      {im.ToAccount, carol, "", "", "item-not-found"},
		"somebody's presence hidden (XEP-0012 §8)": {im.ToAccount, dave, "", "", "forbidden"},
	} {
		out, err := ask(t, c, q.scope, q.to)
		var se *stanza.Error
		if q.err != "" {
			if !errors.As(err, &se) || se.Condition != q.err {
				t.Errorf("%s: %v, want %s", name, err, q.err)
			}
			continue
		}
		if err != nil || out.Attr("seconds") != q.seconds || out.Text != q.text {
			t.Errorf("%s: %v %v", name, out, err)
		}
	}
	if _, err := ask(t, c, im.ToAccount, host); !errors.Is(err, broken) {
		t.Errorf("a roster that can't be read: %v", err)
	}
	c.Started = now.Add(time.Hour) // the clock went back
	if out, err := ask(t, c, im.ToHost, host); err != nil || out.Attr("seconds") != "0" {
		t.Errorf("uptime with a clock that went back: %v %v", out, err)
	}
}
