package deliver

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// ARCHITECTURE, commit: if nobody can tell whether messages were kept, the stream ends. The edge then flushes once
// more, as it does for every end: what was collected must not be committed a second time.
func TestInlet_unknownOutcomeIsNotTriedAgain(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	w.stop() // the log writer is this test's
	taken := make(chan int, 4)
	p, err := New(w.path.cfg)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for sub := range p.log {
			taken <- len(sub.msgs)
			sub.done <- commitError(archive.ErrUnknown, true)
		}
	}()
	defer close(p.log)
	a := w.bind("a@x.test/1")
	in := p.Open(a.s)
	if err := in.Stanza(t.Context(), scanRaw(t, "<message to='b@x.test' type='chat'><body>1</body></message>")); err != nil {
		t.Fatal(err)
	}
	var se *stream.Error
	if err := in.Flush(t.Context()); !errors.As(err, &se) {
		t.Fatalf("unknown outcome: %v, want a stream error", err)
	}
	if err := in.Flush(t.Context()); !errors.As(err, &se) {
		t.Errorf("flushed again: %v", err)
	}
	if err := in.Stanza(t.Context(), scanRaw(t, "<message to='b@x.test' type='chat'><body>2</body></message>")); !errors.As(err, &se) {
		t.Errorf("another stanza: %v", err)
	}
	if n := len(taken); n != 1 {
		t.Errorf("%d submissions, want one", n)
	}
	if h := a.s.Handled(); h != 0 {
		t.Errorf("h is %d: what may not be kept counts as handled", h)
	}
}

// RFC 6120 §8.3.1: an error is never answered by an error; §8.1.3: an answer has the id of what it answers. Also when
// the address, written before type and id, is malformed.
func TestInlet_malformedAddress(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a := w.bind("a@x.test/1")
	a.s.Detach(a, time.Now()) // keeps what it is sent
	for _, doc := range []string{
		"<message to='@x.test' type='error' id='1'><body>x</body></message>",
		"<iq to='@x.test' type='result' id='2'></iq>",
		"<presence to='@x.test' type='error' id='3'></presence>",
		"<message to='@x.test' type='chat' id='4'><body>x</body></message>",
		"<iq to='@x.test' type='get' id='5'><q xmlns='u'/></iq>",
	} {
		a.raw(doc)
	}
	if err := a.in.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := a.s.Handled(); h != 5 {
		t.Errorf("h is %d, want 5", h)
	}
	left, _, _ := a.s.End()
	var got string
	for _, f := range left {
		st := string(f.Bytes)
		if !strings.Contains(st, "<jid-malformed") {
			t.Errorf("answer: %s", st)
		}
		_, id, _ := strings.Cut(st, "id='")
		got += id[:1]
	}
	if got != "45" {
		t.Errorf("answered %q, want 4 and 5 only", got)
	}
}
