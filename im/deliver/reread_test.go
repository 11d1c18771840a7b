package deliver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// reader is a client with stream management that reads when it is told to, as an
// edge writes, and acknowledges only on resumption.
type reader struct {
	w   *world
	s   *session.Session
	in  *Inlet
	out *socket
}

// socket is one connection of a reader.
type socket struct{ got []string }

func (*socket) Wake()              {}
func (*socket) Kick(*stream.Error) {}

func (w *world) reader(full string, carbons bool) *reader {
	w.t.Helper()
	r := &reader{w: w, out: &socket{}}
	j := jid.MustParse(full)
	var err error
	if r.s, err = w.path.Bind(w.t.Context(), j.Bare(), j.Resource(), r.out); err != nil {
		w.t.Fatal(err)
	}
	r.in = w.path.Open(r.s)
	r.s.EnableSM("sm-"+full, true)
	r.s.Switch(func(f *session.Flags) { f.Carbons = carbons })
	if err := r.in.Stanza(w.t.Context(), scanRaw(w.t, "<presence ></presence>")); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// pull reads what there is.
func (r *reader) pull() []string {
	r.w.t.Helper()
	for {
		fs := r.s.Take(r.out, make([]*session.Frame, 0, 32))
		for _, f := range fs {
			r.out.got = append(r.out.got, string(f.AppendTo(nil, r.s.JID())))
		}
		if len(fs) > 0 {
			r.s.Wrote(r.out)
			continue
		}
		more, err := r.s.Reload(r.w.t.Context(), r.out)
		if err != nil {
			r.w.t.Fatal(err)
		}
		if !more {
			return r.out.got
		}
	}
}

// resume loses the connection and takes the session up again.
func (r *reader) resume(h int) {
	r.w.t.Helper()
	r.w.path.Detach(r.s, r.out)
	r.out = &socket{}
	if _, err := r.w.path.Resume(r.w.t.Context(), r.s.JID().Bare(), "sm-"+r.s.JID().String(), uint32(h), r.out); err != nil {
		r.w.t.Fatal(err)
	}
}

// inMemory is how many bytes of stanzas the session holds.
func (r *reader) inMemory() int {
	_, room, _ := r.s.Room()
	return session.DefaultLimits.Bytes - room
}

func (r *reader) same(what string, got, want []string) {
	r.w.t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			r.w.t.Fatalf("%s: %d stanzas, want %d; number %d is\n%s\nwant\n%s", what, len(got), len(want), i,
				append(got, "none")[min(i, len(got))], append(slices.Clone(want), "none")[min(i, len(want))])
		}
	}
}

// HARDENING F10, XEP-0198 §5: a session that acknowledges nothing holds places in the archive; resumed, it is sent
// the same once more: messages, carbons of both directions, what is in nobody's archive and what is in none at all.
func TestPath_resumedFromTheArchive(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, session.DefaultLimits)
		a, desk, twin := w.bind("a@x.test/1"), w.bind("b@x.test/desk"), w.bind("a@x.test/2")
		desk.available()
		twin.available()
		phone := w.reader("b@x.test/phone", true)
		talk := func(from, upto int) {
			for i := from; i < upto; i++ {
				long := fmt.Sprintf("%d %s", i, strings.Repeat("&lt;", 100))
				a.say("b@x.test", "both "+long)
				a.say("b@x.test/desk", "copied "+long)
				desk.say("a@x.test", "own "+long)
				a.raw("<message to='b@x.test/phone' type='headline'><body>kept nowhere</body></message>")
				a.raw("<message to='b@x.test/phone' type='chat' xml:lang='de' id='n'><body>not in an archive</body><no-store xmlns='urn:xmpp:hints'/></message>")
				a.raw("<message to='b@x.test/phone' type='chat'><body>waits only</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>")
				a.raw("<message to='b@x.test/phone' xmlns:p='urn:p'><body>prefixed</body><p:x>1</p:x></message>")
				a.raw("<message to='b@x.test/phone' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
				if err := a.in.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		talk(0, 15)
		first := slices.Clone(phone.pull())
		if len(first) != 120 || strings.Count(strings.Join(first, ""), "urn:xmpp:carbons:2") != 30 {
			t.Fatalf("%d stanzas came", len(first))
		}
		if n := phone.inMemory(); n > 16<<10 {
			t.Errorf("%d bytes are held for 120 stanzas", n)
		}
		phone.resume(17)
		phone.same("resumed", phone.pull(), first[17:])
		w.path.Detach(phone.s, phone.out)
		talk(15, 20) // while nobody is there
		if n := phone.inMemory(); n > 20<<10 {
			t.Errorf("%d bytes are held by a session that hibernates", n)
		}
		phone.resume(101)
		again := slices.Clone(phone.pull())
		phone.same("resumed once more", again[:19], first[101:])
		if len(again) != 19+40 || !strings.Contains(again[19], "both 15 ") || strings.Contains(again[19], "<delay") {
			t.Fatalf("%d came; behind what had been sent there is %s", len(again), again[19])
		}
		if err := phone.s.Ack(160); err != nil {
			t.Fatal(err)
		}
		if err := w.path.cfg.Ledger.Sync(t.Context(), jid.MustParse("b@x.test")); err != nil {
			t.Fatal(err)
		}
		if n, err := w.arch.WaitingCount(t.Context(), jid.MustParse("b@x.test")); n != 0 || err != nil {
			t.Errorf("%d messages wait (%v) though all are acknowledged", n, err)
		}
	})
}

// XEP-0160 §3, XEP-0203 §2: what had waited comes again with its delay; what was erased since is empty, and counts.
func TestPath_resumedBehindWhatWaited(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a := w.bind("a@x.test/1")
	for i := range 90 { // less than a page: it is live at once
		a.say("b@x.test", fmt.Sprintf("%d %s", i, strings.Repeat("x", 500)))
	}
	b := w.reader("b@x.test/1", false)
	w.path.catchUp.Wait()
	first := slices.Clone(b.pull())
	if len(first) != 90 || !strings.Contains(first[0], "<delay") || b.inMemory() > 8<<10 {
		t.Fatalf("%d came, %d bytes are held: %s", len(first), b.inMemory(), first[0])
	}
	if err := w.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE record SET stanza = NULL, salt = NULL WHERE pos = $1`, int64(session.At(0, 51)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	b.resume(0)
	if _, err := b.s.Reload(gone, b.out); err == nil {
		t.Fatal("read without a data set")
	}
	b.resume(0) // the place is not lost
	got := b.pull()
	if len(got) != 90 || strings.Contains(got[50], "<body>") || !strings.Contains(got[50], `id='51'`) {
		t.Fatalf("%d came; the erased one is %s", len(got), got[50])
	}
	got[50] = first[50]
	b.same("resumed", got, first)
	// Presence again: what the session has is not sent to it once more (XEP-0160 §3).
	for _, p := range []string{"<presence type='unavailable'></presence>", "<presence ></presence>"} {
		if err := b.in.Stanza(t.Context(), scanRaw(t, p)); err != nil {
			t.Fatal(err)
		}
	}
	w.path.catchUp.Wait()
	if n := len(b.pull()); n != 90 {
		t.Errorf("%d came, 90 are due", n)
	}
	// The session ends: another finds what was never acknowledged.
	w.path.End(t.Context(), b.s)
	b2 := w.reader("b@x.test/2", false)
	w.path.catchUp.Wait()
	if n := len(b2.pull()); n != 89 { // all but the one that was erased
		t.Errorf("the next session got %d of 89", n)
	}
}
