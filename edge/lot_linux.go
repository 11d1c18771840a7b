package edge

import (
	"os"
	"syscall"
	"time"
)

// poller is one epoll instance and a pipe that ends the waiting.
type poller struct {
	ep     int
	stop   [2]int
	done   chan struct{}
	events [256]syscall.EpollEvent
}

func newPoller() (*poller, error) {
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &poller{ep: ep, done: make(chan struct{})}
	if err := syscall.Pipe2(p.stop[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		syscall.Close(ep)
		return nil, os.NewSyscallError("pipe2", err)
	}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN} // place 0: nobody's
	if err := syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, p.stop[0], &ev); err != nil {
		p.free()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return p, nil
}

// watch waits for fd once.
func (p *poller) watch(fd int, place, gen int32, known bool) error {
	op := syscall.EPOLL_CTL_ADD
	if known {
		op = syscall.EPOLL_CTL_MOD
	}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: place, Pad: gen}
	return syscall.EpollCtl(p.ep, op, fd, &ev)
}

// wait calls f for each descriptor that is ready, and says whether to go on.
func (p *poller) wait(d time.Duration, f func(place, gen int32)) bool {
	n, err := syscall.EpollWait(p.ep, p.events[:], int(max(d/time.Millisecond, 1)))
	if err != nil && err != syscall.EINTR {
		return false
	}
	for i := range max(n, 0) {
		if p.events[i].Fd == 0 {
			return false
		}
		f(p.events[i].Fd, p.events[i].Pad)
	}
	return true
}

// close ends the waiting.
func (p *poller) close() {
	_, _ = syscall.Write(p.stop[1], []byte{0})
	<-p.done
	p.free()
}

func (p *poller) free() {
	for _, fd := range []int{p.ep, p.stop[0], p.stop[1]} {
		syscall.Close(fd)
	}
}
