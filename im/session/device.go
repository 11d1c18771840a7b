package session

// Device is the installation the session belongs to, as its client has said when
// it logged in (XEP-0388 §2.3); empty if it said nothing. Nobody else is told.
func (s *Session) Device() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.device
}

// SetDevice is called once, by the edge that bound the session.
func (s *Session) SetDevice(id string) {
	s.mu.Lock()
	s.device = id
	s.mu.Unlock()
}
