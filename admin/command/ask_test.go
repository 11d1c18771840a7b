package command

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parlance-im/parlance/im/account"
)

// pty opens a pseudo terminal: what is written to the master is typed.
func pty(t *testing.T) (master, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return master, tty
}

// typed runs a command on a terminal. For each pair of says it waits for the
// prompt, then types the answer. It gives all that was shown.
func (w *world) typed(says []string, args ...string) (screen string, err error) {
	w.t.Helper()
	master, tty := pty(w.t)
	c := User(w.open)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetIn(tty)
	c.SetOut(tty)
	c.SetErr(tty)
	c.SetArgs(args)
	done := make(chan error, 1)
	go func() {
		err := c.ExecuteContext(w.t.Context())
		fmt.Fprint(tty, "\x04end\x04")
		done <- err
	}()
	var shown bytes.Buffer
	r := bufio.NewReader(master)
	until := func(text string) {
		for !strings.HasSuffix(shown.String(), text) {
			b, err := r.ReadByte()
			if err != nil {
				w.t.Fatalf("waiting for %q: %v; shown: %q", text, err, shown.String())
			}
			shown.WriteByte(b)
		}
	}
	for i := 0; i < len(says); i += 2 {
		until(says[i])
		if strings.HasSuffix(says[i], ": ") {
			quiet(w.t, master)
		}
		if _, err := fmt.Fprint(master, says[i+1]+"\n"); err != nil {
			w.t.Fatal(err)
		}
	}
	until("\x04end\x04")
	return shown.String(), <-done
}

// quiet waits until the terminal does not echo: the prompt comes a moment before.
func quiet(t *testing.T, master *os.File) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); runtime.Gosched() {
		st, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if st.Lflag&unix.ECHO == 0 {
			return
		}
	}
	t.Fatal("the terminal echoes while it asks for a password")
}

func TestPassword_isAskedWithoutEcho(t *testing.T) {
	w := newWorld(t)
	screen, err := w.typed([]string{"Password for alice@acme.test: ", good, "Once more: ", good}, "add", "alice")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(screen, good) || strings.Contains(screen, "tomato") {
		t.Errorf("the password was shown: %q", screen)
	}
	if !strings.Contains(screen, "added alice@acme.test") {
		t.Errorf("screen: %q", screen)
	}
	_, err = w.typed([]string{"Password for bob@acme.test: ", good, "Once more: ", good + "x"}, "add", "bob")
	if err == nil || !strings.Contains(err.Error(), "two different") {
		t.Errorf("different passwords: %v", err)
	}
}

func TestRemove_asksOnATerminal(t *testing.T) {
	w := newWorld(t)
	w.step(good, "add", "alice", "--password-stdin")
	if _, err := w.typed([]string{"[y/N] ", ""}, "remove", "alice"); err == nil || err.Error() != "nothing removed" {
		t.Errorf("answer no: %v", err)
	}
	if _, err := w.typed([]string{"[y/N] ", "y"}, "remove", "alice"); err != nil {
		t.Errorf("answer yes: %v", err)
	}
	w.step(good, "add", "alice", "--password-stdin")
	if _, err := w.typed(nil, "remove", "alice", "--yes"); err != nil {
		t.Errorf("--yes: %v", err)
	}
}

func TestMeter_barOnATerminalLinesElsewhere(t *testing.T) {
	now := time.Unix(0, 0)
	half := account.Progress{Done: 500, Bytes: 50, Total: 100, Rate: 250, Left: 2 * time.Second}
	var plain bytes.Buffer
	m := newMeter(&plain)
	m.now = func() time.Time { return now }
	m.show(half)
	m.show(half) // too soon
	m.line("line %d: %s", 3, "why")
	now = now.Add(6 * time.Second)
	m.show(account.Progress{Done: 1, Rate: 2})
	m.end()
	want := "50 %, 500 accounts, 250/s, 2s left\nline 3: why\n1 account, 2/s\n"
	if plain.String() != want {
		t.Errorf("plain: %q, want %q", plain.String(), want)
	}
	var bar bytes.Buffer
	m = newMeter(&bar)
	m.bar = true
	m.now = func() time.Time { return now }
	m.show(half)
	m.line("oops")
	m.end()
	want = "\r\x1b[K[############............] 50 %, 500 accounts, 250/s, 2s left\r\x1b[Koops\n"
	if bar.String() != want {
		t.Errorf("bar: %q, want %q", bar.String(), want)
	}
}
