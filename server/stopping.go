package server

import (
	"context"
	"errors"
	"sync"
	"time"
)

var (
	// errRestart is why a server ends that is to start again.
	errRestart = errors.New("server: an administrator restarts it")
	errStop    = errors.New("server: an administrator stops it")
)

// stopping ends the server some time after an administrator said so, in the
// order in which it always ends (serve). The last word counts.
type stopping struct {
	mu     sync.Mutex
	cancel context.CancelCauseFunc // owner: mu; nil: the server does not run
	timer  *time.Timer             // owner: mu
}

// arm makes cancel what after calls; the returned function takes it back.
func (s *stopping) arm(cancel context.CancelCauseFunc) (disarm func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = cancel
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.cancel = nil
		if s.timer != nil {
			s.timer.Stop()
		}
	}
}

// after ends the server after d, and makes Run start it again if restart is set.
func (s *stopping) after(d time.Duration, restart bool) {
	cause := errStop
	if restart {
		cause = errRestart
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel == nil {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	cancel := s.cancel
	s.timer = time.AfterFunc(d, func() { cancel(cause) })
}
