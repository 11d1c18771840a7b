package room

import (
	"sync"

	"github.com/parlance-im/parlance/im/session"
)

// seating knows which rooms a session is in.
type seating struct {
	mu    sync.Mutex // taken under a room's lock
	where map[*session.Session]map[*room]struct{}
}

// note keeps in mind that a session is in a room; forget takes it back. Called
// with the room's lock held.
func (in *seating) note(s *session.Session, r *room) {
	in.mu.Lock()
	defer in.mu.Unlock()
	of := in.where[s]
	if of == nil {
		of = make(map[*room]struct{})
		in.where[s] = of
	}
	of[r] = struct{}{}
}

func (in *seating) forget(s *session.Session, r *room) {
	in.mu.Lock()
	defer in.mu.Unlock()
	of := in.where[s]
	delete(of, r)
	if len(of) == 0 {
		delete(in.where, s)
	}
}

// rooms are those a session is in.
func (in *seating) rooms(s *session.Session) (out []*room) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for r := range in.where[s] {
		out = append(out, r)
	}
	return out
}

// count is how many rooms a session is in.
func (in *seating) count(s *session.Session) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.where[s])
}

// Count is how many rooms have somebody in them, and how many sessions that is.
func (rs *Rooms) Count() (rooms, seats int) {
	in := &rs.seated
	in.mu.Lock()
	defer in.mu.Unlock()
	all := map[*room]struct{}{}
	for _, of := range in.where {
		seats += len(of)
		for r := range of {
			all[r] = struct{}{}
		}
	}
	return len(all), seats
}
