package route

import "github.com/parlance-im/parlance/im/session"

// Homeless is how many messages of the account found no live session since
// it has had sessions at all. A session that catches up takes the number,
// reads what waits, and goes live if the number is still the same.
func (t *Table) Homeless(s *session.Session) uint64 {
	a := t.account(s.JID().Bare())
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.homeless
}

// Fanned is the position up to which archived messages have been handed out.
// A session catching up reads no further: what comes later still finds it.
func (t *Table) Fanned() session.Pos { return session.Pos(t.fanned.Load()) }

// StartAt sets the position that counts as handed out when the server starts.
func (t *Table) StartAt(p session.Pos) { t.fanned.Store(uint64(p)) }

// GoLive makes a session live if no message became homeless since seen was
// read. It says whether it did; a session already gone counts as done.
func (t *Table) GoLive(s *session.Session, seen uint64) bool {
	a := t.account(s.JID().Bare())
	if a == nil {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.homeless != seen {
		return false
	}
	s.GoLive()
	return true
}

// Skip moves Fanned past a message that goes to nobody.
func (t *Table) Skip(pos session.Pos) {
	if pos != 0 {
		t.fanned.Store(uint64(pos))
	}
}
