package route

import "github.com/parlance-im/parlance/im/session"

// Fanned is the position up to which archived messages were handed out, the
// one that is being handed out now included.
func (t *Table) Fanned() session.Pos { return session.Pos(t.fanned.Load()) }

// StartAt sets the position that counts as handed out when the server starts.
func (t *Table) StartAt(p session.Pos) { t.fanned.Store(uint64(p)) }

// Skip moves Fanned past a message that goes to nobody.
func (t *Table) Skip(pos session.Pos) {
	if pos != 0 {
		t.fanned.Store(uint64(pos))
	}
}

// BeginCatchUp makes a session keep new messages back while what waits for it
// is read, and says up to which position that has to be. Every message behind
// that position finds the session catching up. ok is false if it has no need to.
func (t *Table) BeginCatchUp(s *session.Session) (upto session.Pos, ok bool) {
	a := t.account(s.JID().Bare())
	if a == nil {
		return 0, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !s.BeginCatchUp() {
		return 0, false
	}
	return t.Fanned(), true
}
