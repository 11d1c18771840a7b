package faults

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// memory is a process's resident memory in bytes.
func memory(t testing.TB, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Fscan(bytes.NewReader(b), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// ticksPerSecond is the unit of /proc/PID/stat: USER_HZ, 100 on every Linux there is.
const ticksPerSecond = 100

// ticks is the processor time a process has used.
func ticks(t testing.TB, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // the name may hold spaces
	var user, system int64
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return user + system
}

// descriptors is how many files a process has open.
func descriptors(t testing.TB, pid int) int {
	t.Helper()
	d, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// ownHost is a loopback address that no other test process uses: while a server is down nobody else
// gets the port that its clients come back to.
func ownHost() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.77.%d.%d", pid>>8&255, 1+pid&255%254)
}
