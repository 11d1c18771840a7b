package server

import (
	"testing"
	"testing/fstest"
)

// HARDENING F8: the smallest limit on the way to the root is found, in both versions of control groups.
func TestGrantedMemory_table(t *testing.T) {
	f := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + "\n")} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"no control groups": {fstest.MapFS{}, 0},
		"v2, no limit":      {fstest.MapFS{"proc/self/cgroup": f("0::/a/b"), "sys/fs/cgroup/a/b/memory.max": f("max")}, 0},
		"v2, the parent's": {fstest.MapFS{"proc/self/cgroup": f("0::/a/b"), "sys/fs/cgroup/a/b/memory.max": f("max"),
			"sys/fs/cgroup/a/memory.max": f("536870912")}, 512 << 20},
		"v2 in a container": {fstest.MapFS{"proc/self/cgroup": f("0::/"), "sys/fs/cgroup/memory.max": f("268435456")}, 256 << 20},
		"v1": {fstest.MapFS{"proc/self/cgroup": f("8:cpu,cpuacct:/x\n4:memory:/m\n0::/"), "sys/fs/cgroup/memory/m/memory.limit_in_bytes": f("536870912"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": f("9223372036854771712")}, 512 << 20},
		"v1, none":          {fstest.MapFS{"proc/self/cgroup": f("4:memory:/"), "sys/fs/cgroup/memory/memory.limit_in_bytes": f("9223372036854771712")}, 0},
		"v1 in a container": {fstest.MapFS{"proc/self/cgroup": f("4:memory:/docker/abc"), "sys/fs/cgroup/memory/memory.limit_in_bytes": f("104857600")}, 100 << 20},
		"junk":              {fstest.MapFS{"proc/self/cgroup": f("4:memory\nx"), "sys/fs/cgroup/memory/memory.limit_in_bytes": f("-5")}, 0},
	} {
		if got := grantedMemory(c.files); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
