package attack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"hash"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// Deadlines: HARDENING §0 times ten.
const (
	closedWithin = 10 * time.Second // CLOSED
	patience     = 30 * time.Second // anything honest
)

var (
	seed = flag.Uint64("seed", 0, "seed of the random tests; 0 takes one from the clock")
	full = flag.Bool("full", false, "the catalogue's own counts and deadlines (make attack)")
)

// scaled is a count: about a hundredth of the catalogue's, or with -full the catalogue's.
func scaled(short, whole int) int {
	if *full {
		return whole
	}
	return short
}

func TestMain(m *testing.M) {
	flag.Parse()
	if text := os.Getenv(canaryEnv); text != "" {
		os.Exit(sing(text))
	}
	code := m.Run()
	if used.Load() {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, "attack:", err)
			code = 1
		}
	}
	if err := writeReport(); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		code = 1
	}
	server.CleanBinary()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "attack:", err)
		code = 1
	}
	os.Exit(code)
}

// place is a server under attack with people of its own.
type place struct {
	*server.Server
	next  atomic.Int64 // the next person nobody has taken
	all   int
	ended bool // by the test itself
	wide  bool // people have keys for SCRAM-SHA-512, too
	bird  *Canary
}

// common is the server that tests share, with a canary of its own all the
// while; used says that there is one.
var (
	common = sync.OnceValues(func() (*place, error) {
		used.Store(true)
		p, err := open(scaled(500, 2000))
		if err != nil {
			return nil, err
		}
		if err := p.startCanary(); err != nil {
			p.Kill()
			p.Remove()
			return nil, err
		}
		return p, nil
	})
	used atomic.Bool
)

// end stops the shared server.
func end() error {
	p, err := common()
	if err != nil {
		return nil // the tests have said so
	}
	defer p.Remove()
	r := p.bird.Stop()
	fmt.Println("shared server:", r)
	if err := errors.Join(p.sound(), ill(r)); err != nil {
		p.Kill()
		return err
	}
	return p.Stop()
}

// target is the shared server; a test has people of its own there.
func target(t *testing.T) *place {
	t.Helper()
	p, err := common()
	if err != nil {
		t.Fatal(err)
	}
	errs := len(p.bird.Errors())
	t.Cleanup(func() {
		if err := p.sound(); err != nil {
			t.Error(err)
		}
		// CANARY: the rest of its condition is judged at the end.
		if now := p.bird.Errors(); len(now) > errs {
			t.Errorf("canary, while this test ran: %v", errors.Join(now[errs:]...))
		}
	})
	return p
}

// apart is a server for one test, where it measures the process.
func apart(t *testing.T, people int, change ...func(*place)) *place {
	t.Helper()
	p, err := open(people, change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ended {
			p.Remove()
			return
		}
		if err := p.sound(); err != nil {
			t.Error(err)
		}
		p.Finish(t)
	})
	return p
}

func open(people int, change ...func(*place)) (*place, error) {
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance})
	if err != nil {
		return nil, err
	}
	p := &place{Server: s, all: people}
	for _, f := range change {
		f(p)
	}
	if err := p.populate(people); err != nil {
		s.Kill()
		s.Remove()
		return nil, err
	}
	return p, nil
}

// populate adds people by keys that are ready made, so that it takes no time.
func (p *place) populate(n int) error {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	key := func(h func() hash.Hash) (string, error) {
		const rounds = 10000
		sp, err := pbkdf2.Key(h, server.Password, salt, rounds, h().Size())
		if err != nil {
			return "", err
		}
		mac := func(text string) []byte { m := hmac.New(h, sp); m.Write([]byte(text)); return m.Sum(nil) }
		stored := h()
		stored.Write(mac("Client Key"))
		b := base64.StdEncoding.EncodeToString
		return fmt.Sprintf("%d:%s:%s:%s", rounds, b(salt), b(stored.Sum(nil)), b(mac("Server Key"))), nil
	}
	k1, err1 := key(sha1.New)
	k256, err2 := key(sha256.New)
	head, keys := "user,scram_sha1,scram_sha256", k1+","+k256
	if p.wide {
		k512, err := key(sha512.New)
		if err != nil {
			return err
		}
		head, keys = head+",scram_sha512", keys+","+k512
	}
	var csv strings.Builder
	csv.WriteString(head + "\n")
	for i := range n {
		fmt.Fprintf(&csv, "%s,%s\n", name(i), keys)
	}
	file := filepath.Join(p.Dir, "people.csv")
	err := errors.Join(err1, err2, os.WriteFile(file, []byte(csv.String()), 0o600))
	if err != nil {
		return err
	}
	return p.user("", "import", file)
}

func name(i int) string { return fmt.Sprintf("person%03d", i) }

// user runs `parlance user` against the running server.
func (p *place) user(stdin string, args ...string) error {
	bin, err := server.Binary()
	if err != nil {
		return err
	}
	cmd := exec.Command(bin, append([]string{"user", "--data", filepath.Join(p.Dir, "data")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("attack: parlance user %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// person is the name of somebody no other test knows.
func (p *place) person(t testing.TB) string {
	t.Helper()
	who, err := p.take()
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func (p *place) take() (string, error) {
	i := int(p.next.Add(1)) - 1
	if i >= p.all {
		return "", fmt.Errorf("attack: all %d people are taken: make more", p.all)
	}
	return name(i), nil
}

// sound says what is wrong with the server, seen from outside.
func (p *place) sound() error {
	if !p.Alive() {
		return fmt.Errorf("attack: the server is dead:\n%s", p.Output())
	}
	for line := range strings.Lines(p.Output()) {
		switch {
		case strings.Contains(line, "panic"):
			return fmt.Errorf("attack: the server panicked: %.4000s", line)
		case len(line) > 1<<10:
			return fmt.Errorf("attack: a log line of %d bytes: %.300s…", len(line), line)
		case strings.Contains(line, "level=ERROR"):
			return fmt.Errorf("attack: the server logged an error of its own: %.1000s", line)
		}
	}
	return nil
}

var sources atomic.Int64

// source is an address of 127.0.0.0/8 nobody has used: limits per address do
// not mix tests up.
func source() string {
	n := sources.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 1+n/62500%250, 1+n/250%250, 1+n%250)
}

// options are those of a person at a fresh address.
func (p *place) options(user, resource string) client.Options {
	o := p.Options(user, resource)
	o.Source = source()
	return o
}

// login logs a person in until the test ends.
func (p *place) login(t testing.TB, user, resource string, change ...func(*client.Options)) *client.Client {
	t.Helper()
	o := p.options(user, resource)
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Login(ctx, o)
	if err != nil {
		t.Fatalf("login %s/%s: %v", o.User, o.Resource, err)
	}
	t.Cleanup(c.Close)
	return c
}

// bare is a person's bare JID.
func bare(user string) string { return user + "@" + server.Domain }

// heard fences and takes everything c got before: a message of c's own to
// itself comes behind what was committed earlier, in the log's order.
func heard(t testing.TB, c *client.Client) []*client.Node {
	t.Helper()
	id := client.Token()
	err := c.Send("<message type='chat' to='" + client.Escape(c.JID) + "' id='" + id + "'><body>fence</body></message>")
	if err == nil {
		_, err = c.Take(patience, func(n *client.Node) bool { return n.Get("id") == id })
	}
	if err == nil {
		err = c.Fence(patience)
	}
	if err != nil {
		t.Fatalf("fence of %s: %v", c.JID, err)
	}
	return c.Drain()
}

// rss is the server's resident memory in bytes.
func (p *place) rss(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Fscan(bytes.NewReader(b), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// fds is how many descriptors the server has open.
func (p *place) fds(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// sockets is how many of them are sockets: without clients, the listeners.
func (p *place) sockets(t testing.TB) (n int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", p.Pid)
	d, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range d {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// until polls what an outside process does not tell, with a deadline.
func until(within time.Duration, ok func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !ok(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
