package deliver

import (
	"errors"
	"testing"

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
			sub.done <- commitError(archive.ErrUnknown)
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
