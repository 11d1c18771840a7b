package session

// PushAll queues urgent frames that are no messages of their own (a page of an archive),
// in order, and wakes the connection once: they go out together. It stops at the first
// for which there is no room, and says how many were taken and what became of that one.
func (s *Session) PushAll(fs []*Frame) (n int, o Outcome) {
	s.mu.Lock()
	o = Queued
	for _, f := range fs {
		if o = s.admit(f); o != Queued {
			break
		}
		s.releaseHeld() // order is kept: what was held goes first
		s.bytes += len(f.Bytes)
		s.follow(f)
		n++
	}
	w := s.wire
	s.mu.Unlock()
	if w != nil && n > 0 {
		w.Wake()
	}
	return n, o
}
