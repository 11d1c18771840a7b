package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Proc is the server's processes: those it was given and all they started.
type Proc struct {
	pids []int
	root string // /proc; another folder in tests
}

// NewProc watches pids and their children. It may be empty: then nothing is known.
func NewProc(pids ...int) *Proc { return &Proc{pids: pids, root: "/proc"} }

// Usage is what the processes took so far.
type Usage struct {
	CPU time.Duration // user and system time, ended and waited-for children included
	RSS int64         // resident bytes; of several processes, shared pages count once
}

// Usage reads /proc. Without pids it is zero.
func (p *Proc) Usage() (Usage, error) {
	var u Usage
	if len(p.pids) == 0 {
		return u, nil
	}
	stats, err := p.stats()
	if err != nil {
		return u, err
	}
	tree := p.tree(stats)
	for _, pid := range tree {
		u.CPU += stats[pid].cpu
	}
	for _, pid := range tree {
		rss, err := p.memory(pid, len(tree) > 1)
		if err != nil {
			return u, err
		}
		u.RSS += rss
	}
	return u, nil
}

type stat struct {
	parent int
	cpu    time.Duration
}

// stats reads every process's line: /proc knows parents, not children.
func (p *Proc) stats() (map[int]stat, error) {
	files, err := filepath.Glob(filepath.Join(p.root, "[0-9]*", "stat"))
	if err != nil {
		return nil, err
	}
	all := map[int]stat{}
	for _, f := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err != nil {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		s, err := parseStat(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		all[pid] = s
	}
	for _, pid := range p.pids {
		if _, ok := all[pid]; !ok {
			return nil, fmt.Errorf("bench: no process %d (the server's pid?)", pid)
		}
	}
	return all, nil
}

// parseStat reads proc(5) stat. The name in parentheses may hold spaces; fields
// are counted from behind it.
func parseStat(b []byte) (stat, error) {
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 15 {
		return stat{}, fmt.Errorf("bench: stat %q", b)
	}
	parent, err := strconv.Atoi(f[1])
	if err != nil {
		return stat{}, fmt.Errorf("bench: stat %q", b)
	}
	var ticks int64
	for _, s := range f[11:15] { // utime stime cutime cstime
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("bench: stat %q", b)
		}
		ticks += n
	}
	const tick = time.Second / 100 // USER_HZ, the same on all Linux machines
	return stat{parent, time.Duration(ticks) * tick}, nil
}

// tree lists the pids given and all below them.
func (p *Proc) tree(stats map[int]stat) []int {
	in := map[int]bool{}
	for _, pid := range p.pids {
		in[pid] = true
	}
	for grown := true; grown; {
		grown = false
		for pid, s := range stats {
			if !in[pid] && in[s.parent] {
				in[pid], grown = true, true
			}
		}
	}
	var all []int
	for pid := range in {
		all = append(all, pid)
	}
	return all
}

// memory is a process's resident bytes; with shared, pages it shares with others in part.
func (p *Proc) memory(pid int, shared bool) (int64, error) {
	if shared {
		if n, err := p.field(pid, "smaps_rollup", "Pss:"); err == nil {
			return n, nil
		}
	}
	n, err := p.field(pid, "status", "VmRSS:")
	if os.IsNotExist(err) {
		return 0, nil // it has ended since
	}
	return n, err
}

func (p *Proc) field(pid int, file, name string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(p.root, strconv.Itoa(pid), file))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, name); ok {
			kb, err := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return kb * 1024, err
		}
	}
	return 0, nil // a process that is ending has no memory
}
