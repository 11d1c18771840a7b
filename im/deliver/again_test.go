package deliver

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// mobile is a client with stream management: it counts what it handles, and
// resumes with that count.
type mobile struct {
	w    *world
	s    *session.Session
	in   *Inlet
	line *line

	mu   sync.Mutex
	cond *sync.Cond
	h    uint32
	got  []string
	pos  []session.Pos
}

// line is one connection of a mobile.
type line struct {
	m    *mobile
	mu   sync.Mutex
	ack  bool // acknowledges what it takes
	deaf bool // takes nothing
}

func (w *world) mobile(full string, ack, deaf bool) *mobile {
	w.t.Helper()
	m := &mobile{w: w}
	m.cond = sync.NewCond(&m.mu)
	m.line = &line{m: m, ack: ack, deaf: deaf}
	j := jid.MustParse(full)
	m.line.mu.Lock() // nothing is taken until it is complete
	s, err := w.path.Bind(w.t.Context(), j.Bare(), j.Resource(), m.line)
	if err != nil {
		w.t.Fatal(err)
	}
	m.s, m.in = s, w.path.Open(s)
	s.EnableSM("sm-"+full, true)
	m.line.mu.Unlock()
	return m
}

func (l *line) Wake() { go l.drain() }

func (l *line) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deaf {
		return
	}
	for {
		fs := l.m.s.Take(l, make([]*session.Frame, 0, 8))
		if len(fs) == 0 {
			return
		}
		l.m.handle(fs)
		if l.ack {
			_ = l.m.s.Ack(l.m.count())
		}
	}
}

func (m *mobile) count() uint32 { m.mu.Lock(); defer m.mu.Unlock(); return m.h }

func (m *mobile) handle(fs []*session.Frame) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range fs {
		m.h++
		if _, rest, ok := strings.Cut(string(f.Bytes), "<body>"); ok {
			body, _, _ := strings.Cut(rest, "</body>")
			m.got = append(m.got, body)
			m.pos = append(m.pos, f.Pos)
		}
	}
	m.cond.Broadcast()
}

// Kick ends the connection as an edge does.
func (l *line) Kick(*stream.Error) { go l.m.w.path.Detach(l.m.s, l) }

func (m *mobile) presence(typ string) {
	m.w.t.Helper()
	if err := m.in.Stanza(m.w.t.Context(), scanRaw(m.w.t, "<presence "+typ+"></presence>")); err != nil {
		m.w.t.Fatal(err)
	}
}

// resume loses the connection and takes the session up on another.
func (m *mobile) resume(ack bool) {
	m.w.t.Helper()
	m.w.path.Detach(m.s, m.line)
	old := m.line
	old.mu.Lock() // what was taken has been handled
	h := m.count()
	old.mu.Unlock()
	m.line = &line{m: m, ack: ack}
	if _, err := m.w.path.Resume(m.w.t.Context(), m.s.JID().Bare(), "sm-"+m.s.JID().String(), h, m.line); err != nil {
		m.w.t.Fatal(err)
	}
	m.in = m.w.path.Open(m.s)
	m.line.Wake()
}

// until waits until the client has handled a message.
func (m *mobile) until(body string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.got) == 0 || m.got[len(m.got)-1] != body {
		m.cond.Wait()
	}
}

// A message that a session has and has not confirmed may be written down as waiting, for others. The session itself
// does not get it again when it comes back.
func TestPath_unconfirmedIsNotReplayedToWhoHasIt(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a := w.bind("a@x.test/1")
	b := w.mobile("b@x.test/1", false, true)
	b.presence("")
	a.say("b@x.test", "one")
	w.path.Detach(b.s, b.line)
	other := w.mobile("b@x.test/2", false, true) // takes nothing, but has it written down
	other.presence("")
	b.resume(false)
	b.until("one")
	w.path.Detach(other.s, other.line)
	b.presence("type='unavailable'")
	a.say("b@x.test", "two")
	b.presence("")
	a.say("b@x.test", "three")
	b.until("three")
	if got := fmt.Sprint(b.got); got != "[one two three]" {
		t.Errorf("got %s", got)
	}
}

// A client with stream management that loses its connection, goes away and comes back at random sees the log's
// order, everything, and nothing twice.
func TestPath_cutsAndPresenceAtRandom(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	b := w.mobile("b@x.test/1", true, false)
	b.presence("")
	const senders, each = 3, 150
	var wg sync.WaitGroup
	for s := range senders {
		from := w.bind(fmt.Sprintf("s%d@x.test/1", s))
		wg.Go(func() {
			for i := range each {
				from.say("b@x.test", fmt.Sprintf("%d-%d", s, i))
			}
		})
	}
	sent := make(chan struct{})
	go func() { wg.Wait(); close(sent) }()
	rng := rand.New(rand.NewPCG(3, 4))
	for going := true; going; {
		switch rng.IntN(3) {
		case 0:
			b.presence("type='unavailable'")
			b.presence("")
		case 1:
			b.resume(rng.IntN(4) > 0)
		default:
			select {
			case <-sent:
				going = false
			default:
			}
		}
	}
	b.resume(true)
	b.presence("")
	w.bind("z@x.test/1").say("b@x.test", "end")
	b.until("end")
	seen := map[string]bool{}
	for i, body := range b.got {
		if seen[body] {
			t.Errorf("%s came twice", body)
		}
		if seen[body] = true; i > 0 && b.pos[i] <= b.pos[i-1] {
			t.Errorf("%s (%s) came after %s", body, b.pos[i], b.pos[i-1])
		}
	}
	if len(seen) != senders*each+1 {
		t.Errorf("%d of %d came", len(seen), senders*each+1)
	}
}
