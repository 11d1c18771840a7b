package check

import (
	"slices"
	"sync"
)

// Recorder gathers a history from many goroutines.
type Recorder struct {
	mu       sync.Mutex
	sends    map[string]*Send
	order    []string
	sessions []*Session
}

// NewRecorder makes an empty one.
func NewRecorder() *Recorder { return &Recorder{sends: map[string]*Send{}} }

// Sent notes an attempt; a retry of the same id adds its session.
func (r *Recorder) Sent(id, from, to, session, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sends[id]; s != nil {
		if !slices.Contains(s.Sessions, session) {
			s.Sessions = append(s.Sessions, session)
		}
		return
	}
	r.sends[id] = &Send{ID: id, From: from, To: to, Sessions: []string{session}, Body: Hash(body)}
	r.order = append(r.order, id)
}

// Acked notes that the server took responsibility.
func (r *Recorder) Acked(id string) { r.mark(id, func(s *Send) { s.Acked = true }) }

// Refused notes an error for the sender.
func (r *Recorder) Refused(id string) { r.mark(id, func(s *Send) { s.Refused = true }) }

// WasRefused says whether the sender of a message got an error for it.
func (r *Recorder) WasRefused(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sends[id] != nil && r.sends[id].Refused
}

func (r *Recorder) mark(id string, f func(*Send)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sends[id]; s != nil {
		f(s)
	}
}

// Bound notes a new logical session.
func (r *Recorder) Bound(name, owner string, carbons bool) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &Session{Name: name, Owner: owner, Carbons: carbons}
	r.sessions = append(r.sessions, s)
	return s
}

// Joined says from where on a session must get everything.
func (r *Recorder) Joined(s *Session, after string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Joined, s.After = true, after
}

// Left says that a session ended before the end of the run.
func (r *Recorder) Left(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Left = true
}

// Received notes a delivery.
func (r *Recorder) Received(s *Session, id, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Got = append(s.Got, Receipt{id, Hash(body)})
}

// Counts are for progress lines.
func (r *Recorder) Counts() (sent, acked, refused, received int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sends {
		sent++
		if s.Acked {
			acked++
		}
		if s.Refused {
			refused++
		}
	}
	for _, s := range r.sessions {
		received += len(s.Got)
	}
	return sent, acked, refused, received
}

// Kept is how many messages the server took responsibility for and did not refuse.
func (r *Recorder) Kept() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sends {
		if s.Acked && !s.Refused {
			n++
		}
	}
	return n
}

// History is what was gathered; archive and views are still to be filled in.
func (r *Recorder) History() *History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &History{Views: map[string][]View{}}
	for _, id := range r.order {
		h.Sends = append(h.Sends, *r.sends[id])
	}
	for _, s := range r.sessions {
		h.Sessions = append(h.Sessions, *s)
	}
	return h
}
