package edgetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Core is a small path: it routes messages between sessions, answers IQs of
// type get with an empty result and swallows presence.
type Core struct {
	// BindErr, if set, is what Bind answers.
	BindErr error
	// Fail, if set, is asked before each flush.
	Fail func() error

	mu       sync.Mutex
	sessions map[jid.JID]*session.Session
	events   []string
	change   chan struct{}
}

// NewCore makes one.
func NewCore() *Core {
	return &Core{sessions: map[jid.JID]*session.Session{}, change: make(chan struct{})}
}

func (c *Core) note(what string, j jid.JID) {
	c.events = append(c.events, what+" "+j.String())
	close(c.change)
	c.change = make(chan struct{})
}

// Await waits until the event was seen: "bind", "resume", "detach", "end" or
// "flush", a space and the full JID. It says false if it was not in time.
func (c *Core) Await(event string, within time.Duration) bool {
	t := time.NewTimer(within)
	defer t.Stop()
	for {
		c.mu.Lock()
		ok, ch := slices.Contains(c.events, event), c.change
		c.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-ch:
		case <-t.C:
			return false
		}
	}
}

// Events are all so far.
func (c *Core) Events() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// Session is the session bound to a full JID.
func (c *Core) Session(full string) *session.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[jid.MustParse(full)]
}

// Bind replaces an older session of the same resource.
func (c *Core) Bind(_ context.Context, account jid.JID, resource string, w session.Wire) (*session.Session, error) {
	if c.BindErr != nil {
		return nil, c.BindErr
	}
	full, err := account.WithResource(resource)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.sessions[full]; old != nil {
		old.Kick(session.Conflict("replaced"))
		old.End()
	}
	s := session.New(full, session.DefaultLimits, nil, w, time.Now())
	c.sessions[full] = s
	c.note("bind", full)
	return s, nil
}

// Resume attaches a session by its id, after the connection it has was given up.
func (c *Core) Resume(_ context.Context, account jid.JID, id string, h uint32, w session.Wire) (*session.Session, error) {
	var found *session.Session
	c.mu.Lock()
	for full, s := range c.sessions {
		if full.Bare() == account && s.StreamManagement().ID == id && s.StreamManagement().Resume {
			found = s
		}
	}
	c.mu.Unlock()
	if found == nil {
		return nil, errors.New("edgetest: no such session")
	}
	lost := found.Lost()
	found.Kick(session.Conflict("resumed elsewhere"))
	<-lost
	if err := found.Attach(w, h); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note("resume", found.JID())
	return found, nil
}

// Detach hibernates a resumable session and ends others.
func (c *Core) Detach(s *session.Session, w session.Wire) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Detach(w, time.Now()) {
		if !s.StreamManagement().Resume {
			s.End()
			delete(c.sessions, s.JID())
		}
		c.note("detach", s.JID())
	}
}

// End ends a session.
func (c *Core) End(_ context.Context, s *session.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, _, first := s.End(); first {
		delete(c.sessions, s.JID())
		c.note("end", s.JID())
	}
}

// Open makes an inlet.
func (c *Core) Open(s *session.Session) *Inlet { return &Inlet{core: c, sess: s} }

// Inlet collects messages.
type Inlet struct {
	core *Core
	sess *session.Session
	msgs []*stanza.Stanza
}

// Stanza takes one stanza.
func (i *Inlet) Stanza(ctx context.Context, raw *elem.Raw) error {
	st, err := stanza.Read(raw, nil)
	if err != nil || st == nil {
		return err
	}
	st.From = i.sess.JID()
	if st.Kind == stanza.Message {
		if bytes.Contains(st.Content, []byte("PANIC")) {
			panic("edgetest: as asked")
		}
		i.msgs = append(i.msgs, st)
		return nil
	}
	if err := i.Flush(ctx); err != nil {
		return err
	}
	i.sess.CountIn(1)
	if st.Kind == stanza.IQ && st.Type == stanza.Get {
		i.sess.Push(frame(&stanza.Stanza{Kind: stanza.IQ, Type: stanza.Result, ID: st.ID, From: st.To, To: st.From}))
	}
	return nil
}

// Flush routes them.
func (i *Inlet) Flush(context.Context) error {
	if len(i.msgs) == 0 {
		return nil
	}
	if f := i.core.Fail; f != nil {
		if err := f(); err != nil {
			return err
		}
	}
	i.core.mu.Lock()
	defer i.core.mu.Unlock()
	for _, m := range i.msgs {
		f := frame(m)
		for full, s := range i.core.sessions {
			if full == m.To || full.Bare() == m.To {
				s.Push(f)
			}
		}
	}
	i.sess.CountIn(len(i.msgs))
	i.msgs = i.msgs[:0]
	i.core.note("flush", i.sess.JID())
	return nil
}

func frame(st *stanza.Stanza) *session.Frame {
	b, nameEnd := st.AppendStart(nil)
	b = st.AppendEnd(append(b, st.Content...))
	return &session.Frame{Bytes: b, NameEnd: nameEnd, Kind: st.Kind, Urgent: true}
}

// AwaitCount waits until n events begin with prefix.
func (c *Core) AwaitCount(prefix string, n int, within time.Duration) bool {
	t := time.NewTimer(within)
	defer t.Stop()
	for {
		c.mu.Lock()
		k, ch := 0, c.change
		for _, e := range c.events {
			if strings.HasPrefix(e, prefix) {
				k++
			}
		}
		c.mu.Unlock()
		if k >= n {
			return true
		}
		select {
		case <-ch:
		case <-t.C:
			return false
		}
	}
}
