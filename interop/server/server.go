package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Kind names a server program.
type Kind string

const (
	Parlance Kind = "parlance"
	Prosody  Kind = "prosody"
)

// Fixed facts of every server started here.
const (
	Domain   = "acme.test"
	Password = "parlance"
)

// People are the accounts, Friends the mutual contacts among them.
var (
	People  = []string{"alice", "bob", "carol", "dave", "erin", "admin"}
	Friends = []string{"alice", "bob", "carol"}
)

// Options say what to start; the zero value of each field is a fresh default.
type Options struct {
	Kind  Kind
	Dir   string   // data and logs; a temporary directory if empty
	Host  string   // loopback address to listen on; 127.0.0.1 if empty
	Reuse *Server  // take over another server's ports and directory (restart)
	Args  []string // further arguments of parlance demo
	Env   []string // further environment
	Log   *os.File // where the output goes besides the buffer; may be nil

	// With any of these `parlance serve` runs with a configuration instead of
	// `parlance demo`; the people are the same, but there are no contacts and no
	// history.
	DSN    string // storage.dsn; SQLite if empty
	Config string // more of the configuration, whole tables
	Crowd  int    // so many people more: Name(0), Name(1) …

	Prosody string // more of prosody's configuration, before its hosts

	Wrap []string // a command in front of the binary's, which runs it: prlimit, strace
	Keep bool     // keep the folder when the start fails
}

// Server is a running server.
type Server struct {
	Kind             Kind
	Dir              string
	C2S, C2STLS      string        // host:port
	HTTP             string        // host:port of the HTTPS listener
	Pid              int           // of the server process
	Start2Ready      time.Duration // from exec to ready
	ownDir, wrapped  bool
	cmd              *exec.Cmd
	out              *output
	exited           chan struct{}
	waitErr          error
	ports            [4]int
	WebSocket        string // ws(s) URL
	serve            serve
	TrafficIsSecured bool // STARTTLS is offered on C2S
}

// Start runs a server and returns when it accepts connections.
func Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{Kind: o.Kind, Dir: o.Dir, exited: make(chan struct{}), out: &output{}, TrafficIsSecured: true, wrapped: len(o.Wrap) > 0}
	if o.Reuse != nil {
		s.Kind, s.Dir, s.ownDir, s.ports = o.Reuse.Kind, o.Reuse.Dir, o.Reuse.ownDir, o.Reuse.ports
		s.C2S, s.C2STLS, s.HTTP, s.serve = o.Reuse.C2S, o.Reuse.C2STLS, o.Reuse.HTTP, o.Reuse.serve
	} else {
		s.serve = serve{dsn: o.DSN, config: o.Config, crowd: o.Crowd}
	}
	if s.Dir == "" {
		d, err := os.MkdirTemp("", "interop-"+string(s.Kind)+"-")
		if err != nil {
			return nil, err
		}
		s.Dir, s.ownDir = d, true
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	began := time.Now()
	var err error
	switch s.Kind {
	case Prosody:
		err = s.prosody(ctx, o)
	case Parlance:
		err = s.parlance(ctx, o)
	default:
		err = fmt.Errorf("server: kind %q unknown", s.Kind)
	}
	if err != nil {
		s.Kill()
		err = fmt.Errorf("%w\n%s", err, s.Output())
		if !o.Keep {
			s.Remove()
		}
		return nil, err
	}
	s.Start2Ready = time.Since(began)
	return s, nil
}

func (s *Server) run(name string, args, env []string) error {
	s.cmd = exec.Command(name, args...)
	s.cmd.Dir = s.Dir
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	// The server dies with the test process, whatever happens to that.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("server: start %s: %w", name, err)
	}
	s.Pid = s.cmd.Process.Pid
	go func() {
		s.waitErr = s.cmd.Wait()
		close(s.exited)
	}()
	return nil
}

// Stop ends the server politely, by force after ten seconds, and returns how it ended.
func (s *Server) Stop() error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
		return s.waitErr
	case <-time.After(10 * time.Second):
		s.Kill()
		return errors.New("server: had to be killed: no exit within 10 s of SIGTERM")
	}
}

// Kill ends the server at once (SIGKILL) and waits until it is gone.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	if !s.wrapped || !s.killInside() {
		_ = s.cmd.Process.Kill()
	}
	<-s.exited
}

// killInside kills what the wrapping command runs; that then ends by itself.
func (s *Server) killInside() (found bool) {
	kids, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.Pid, s.Pid))
	for _, k := range strings.Fields(string(kids)) {
		if pid, err := strconv.Atoi(k); err == nil {
			found = syscall.Kill(pid, syscall.SIGKILL) == nil || found
		}
	}
	return found
}

// Remove deletes the directory Start made.
func (s *Server) Remove() {
	if s.ownDir {
		_ = os.RemoveAll(s.Dir)
	}
}

// Alive says whether the process still runs.
func (s *Server) Alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Output is what the server has written so far, the last 64 KiB of it.
func (s *Server) Output() string {
	out := s.out.String()
	if b, err := os.ReadFile(filepath.Join(s.Dir, "prosody.log")); err == nil {
		out += string(b[max(0, len(b)-16<<10):])
	}
	return out
}

// output is a bounded buffer that readers can wait on.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() > 128<<10 {
		o.buf.Next(o.buf.Len() - 64<<10)
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Exited waits until the process has ended by itself, and says whether it did.
func (s *Server) Exited(within time.Duration) bool {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-s.exited:
		return true
	case <-t.C:
		return false
	}
}
