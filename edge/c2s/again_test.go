package c2s_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// shelf is an archive whose messages have their positions as ids.
type shelf struct{ fails, reads atomic.Int32 }

func (s *shelf) Again(_ context.Context, _ jid.JID, refs []session.Ref) (out []*session.Frame, err error) {
	if s.reads.Add(1); s.fails.Add(-1) >= 0 {
		return nil, errors.New("the archive can't be read")
	}
	for _, r := range refs {
		out = append(out, numbered(int(r.Pos)))
	}
	return out, nil
}

func numbered(i int) *session.Frame {
	return &session.Frame{Bytes: fmt.Appendf(nil, "<message id='%d'><body>%01000d</body></message>", i, i), NameEnd: 8,
		Kind: stanza.Message, Pos: session.Pos(i), Form: session.Itself, Urgent: true}
}

// HARDENING F10, XEP-0198 §5: what a session gave back to the archive is read and sent once more, before the answer to
// an <r/> that comes at once; if it can't be read the connection ends, and the session may be resumed again.
func TestManagement_resumedFromTheArchive(t *testing.T) {
	b := start(t)
	old := b.bound()
	send(t, old, enableSM)
	id := next(t, old).Get("id")
	s, rec := b.core.Session(phone), &shelf{}
	s.Refer(rec)
	const n = 100
	for i := 1; i <= n; i++ {
		s.Push(numbered(i))
	}
	message := func(c *client.Conn) *client.Node {
		k := next(t, c)
		for k.Name.Local == "r" {
			k = next(t, c)
		}
		return k
	}
	for i := 1; i <= n; i++ {
		if k := message(old); k.Get("id") != strconv.Itoa(i) {
			t.Fatalf("%v, want %d", k, i)
		}
	}
	resume := func(h int) *client.Conn {
		c := b.authed()
		send(t, c, fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/><r xmlns='urn:xmpp:sm:3'/>", id, h))
		if k := next(t, c); k.Name.Local != "resumed" {
			t.Fatal(k)
		}
		return c
	}
	rec.fails.Store(1)
	c := resume(3)
	for k, err := c.Next(); err == nil; k, err = c.Next() {
		t.Errorf("%v came though nothing can be read", k)
	}
	c = resume(3)
	for i := 4; i <= n; i++ {
		if k := message(c); k.Get("id") != strconv.Itoa(i) {
			t.Fatalf("%v, want %d", k, i)
		}
	}
	if k := message(c); k.Name.Local != "a" {
		t.Errorf("%v, want the answer to <r/>", k)
	}
	if got := rec.reads.Load(); got < 3 {
		t.Errorf("%d readings", got)
	}
}
