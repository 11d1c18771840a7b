package server

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryShare is how much of what the system grants the collector aims at (HARDENING F8);
// the rest is for what is not the collector's: SQLite's pages, the program, the kernel's buffers.
const memoryShare = 0.85

// boundMemory has the collector work harder rather than be killed where the system
// grants the process a part of the machine's memory (a container, a systemd unit). What
// the operator says in GOMEMLIMIT holds.
func boundMemory(log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	granted := grantedMemory(os.DirFS("/"))
	if granted == 0 {
		return
	}
	limit := int64(float64(granted) * memoryShare)
	debug.SetMemoryLimit(limit)
	log.Info("memory is bounded by the system", "granted", Size(granted), "aim", Size(limit))
}

// grantedMemory is the smallest memory limit of the control groups this process is in,
// 0 if there is none: cgroup v2's memory.max, or v1's memory.limit_in_bytes.
func grantedMemory(root fs.FS) (granted int64) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0 // not Linux
	}
	for line := range strings.Lines(string(groups)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		dirs, file := []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"}, "memory.max"
		if part[1] == "memory" {
			dirs, file = []string{"sys/fs/cgroup/memory"}, "memory.limit_in_bytes"
		} else if part[0] != "0" {
			continue
		}
		// A group's limit holds for those in it; in a container the path is another's.
		for at := path.Clean("/" + part[2]); ; at = path.Dir(at) {
			for _, dir := range dirs {
				if n := readLimit(root, path.Join(dir, at, file)); n > 0 && (granted == 0 || n < granted) {
					granted = n
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return granted
}

// readLimit reads a limit; 0 if there is none.
func readLimit(root fs.FS, file string) int64 {
	b, err := fs.ReadFile(root, file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), n >= math.MaxInt64/2:
		return 0 // v1 writes a number no machine has
	case err != nil: // "max"
		return 0
	}
	return n
}
