package session

import "net/netip"

// Source is the address the session's client is connected from; the zero value
// while it has no connection, or where the edge does not know.
func (s *Session) Source() netip.Addr {
	s.mu.Lock()
	w := s.wire
	s.mu.Unlock()
	if from, ok := w.(interface{ Source() netip.Addr }); ok {
		return from.Source()
	}
	return netip.Addr{}
}
