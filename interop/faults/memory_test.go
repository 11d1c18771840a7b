package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// cage is a control group with a memory limit that a server runs in.
type cage struct {
	dir    string
	events string // the file that counts kills
}

// newCage makes a group; nil where that is not possible: control groups are the machine's
// and need its root.
func newCage(t *testing.T, limit int64) *cage {
	t.Helper()
	name := fmt.Sprintf("parlance-faults-%d", os.Getpid())
	for _, kind := range []struct{ root, limit, events string }{
		{"/sys/fs/cgroup", "memory.max", "memory.events"},
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"},
	} {
		dir := filepath.Join(kind.root, name)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) }) // empty by then: the server has ended
		// The kernel makes the file, where this is a place for groups.
		f, err := os.OpenFile(filepath.Join(dir, kind.limit), os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(strconv.FormatInt(limit, 10))
			_ = f.Close()
		}
		if err == nil {
			return &cage{dir, filepath.Join(dir, kind.events)}
		}
		_ = os.Remove(dir)
	}
	return nil
}

// enter is a command that goes into the group and becomes what follows it.
func (c *cage) enter() []string {
	return []string{"sh", "-c", "echo $$ >" + c.dir + "/cgroup.procs && exec \"$@\"", "sh"}
}

// kills is how often the kernel has killed somebody there for want of memory.
func (c *cage) kills(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(c.events)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "oom_kill" {
			n, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no oom_kill in %s", c.events)
	return 0
}

// HARDENING F8: the server has little memory and much comes at once: clients that are not logged in and never end an
// element, people who never read, messages for them. Those who behave don't notice, and nobody is killed. The limit is
// the kernel's (512 MiB in a control group, of which the server learns by itself) and where there can be none the
// runtime's (GOMEMLIMIT).
func TestMemory_limited(t *testing.T) {
	limit, strangers := int64(512<<20), scaled(400, 5000)
	o := server.Options{Kind: server.Parlance, Crowd: 60}
	c := newCage(t, limit)
	how := "control group"
	if c != nil {
		o.Wrap = c.enter()
	} else {
		limit, how = 128<<20, "GOMEMLIMIT"
		o.Env = []string{fmt.Sprintf("GOMEMLIMIT=%d", limit)}
	}
	r := note(t, "F8", fmt.Sprintf("%s, %d MiB; %d connections at a time with an element that does not end, 4 clients that never read, a flood of messages", how, limit>>20, strangers))
	s, err := server.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Finish(t) })
	if c != nil && !strings.Contains(s.Output(), "memory is bounded by the system") {
		t.Errorf("the server does not know of its limit:\n%s", s.Output())
	}
	stop := canary(t, s, r)
	defer stop()
	most := peak(t, s.Pid)
	began, rounds := time.Now(), 0
	for ; rounds == 0 || time.Since(began) < *limited; rounds++ {
		closeAll := drip(t, s, strangers)
		var to []string
		var deaf []*client.Conn
		for i := range 4 {
			who := server.Name((4*rounds + i) % 40)
			deaf = append(deaf, stuck(t, s, who, "stuck", "<presence/>", true, false))
			to = append(to, who+"@"+server.Domain)
		}
		pourSome(t, s, to, 50, fmt.Sprintf("mem%d", rounds), 1500, 1000)
		closeAll()
		for _, d := range deaf {
			_ = d.Close()
		}
	}
	took, top := time.Since(began), most()
	stop()
	killed := 0
	if c != nil {
		killed = c.kills(t)
	}
	r.count(t, "%d rounds in %v; memory at most %d MiB; %d kills for want of memory", rounds, took.Round(time.Second), top>>20, killed)
	if top > limit+64<<20 { // what is not the collector's: SQLite's pages, stacks, the binary
		t.Errorf("memory rose to %d MiB with a limit of %d", top>>20, limit>>20)
	}
	if killed > 0 || !s.Alive() {
		t.Errorf("the server is dead: %d kills for want of memory", killed)
	}
}
