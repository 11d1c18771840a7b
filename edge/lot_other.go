//go:build !linux

package edge

import (
	"errors"
	"time"
)

// poller is epoll's place on systems without it: connections keep their goroutines.
type poller struct{ done chan struct{} }

func newPoller() (*poller, error)                           { return nil, errors.ErrUnsupported }
func (p *poller) watch(_ int, _, _ int32, _ bool) error     { return errors.ErrUnsupported }
func (p *poller) wait(time.Duration, func(_, _ int32)) bool { return false }
func (p *poller) close()                                    {}
