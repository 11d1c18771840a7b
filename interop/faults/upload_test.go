package faults

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// sent is an upload that was tried.
type sent struct {
	get     string // path
	content []byte
	created bool // the server said 201
}

// spacious is a configuration whose quotas a test does not meet.
const spacious = "[files]\nfiles_per_day = 1000000\nper_day = \"1024GiB\"\ntotal = \"1024GiB\""

// HARDENING F1 and H4, for files: killed at random moments while files come in,
// what was answered with 201 is there whole, everything else is whole or not
// there, and nothing is left on disk that no file refers to.
func TestUpload_killedInTheMiddle(t *testing.T) {
	r := note(t, "F1", "SIGKILL at random moments while files are uploaded")
	srv, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Host: "127.77.0.9", Config: spacious})
	if err != nil {
		t.Fatal(err)
	}
	cutUploads(t, r, srv, *kills, 300<<10, func(s *server.Server) { s.Kill() })
}

// HARDENING F2, for files: the same when the power is cut, so that only what
// was flushed, file and folder, is there afterwards.
func TestUpload_powerCut(t *testing.T) {
	r := note(t, "F2", "power cut while files are uploaded")
	d, err := newDisk(256)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.remove(); err != nil {
			t.Error(err)
		}
	})
	srv, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Host: "127.77.0.9", Dir: d.Dir, Config: spacious})
	if err != nil {
		t.Fatal(err)
	}
	cutUploads(t, r, srv, *cuts, 20<<10, func(s *server.Server) { dark(t, d, s) })
}

// cutUploads ends the server n times while files of up to most bytes come in,
// and compares.
func cutUploads(t *testing.T, r *row, srv *server.Server, n, most int, end func(*server.Server)) {
	rng := rand.New(rand.NewPCG(lot(t), 2))
	defer func() { srv.Finish(t) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n)*20*time.Second+3*time.Minute)
	defer cancel()
	tr := &http.Transport{TLSClientConfig: client.TLSConfig(server.Domain)}
	defer tr.CloseIdleConnections()
	web := &http.Client{Transport: tr, Timeout: time.Minute}
	created, tried := 0, 0
	kept := map[string]bool{} // contents that must be on disk
	for i := range n {
		batch := uploads(ctx, srv, web, rng, most)
		wait(ctx, time.Duration(100+rng.IntN(400))*time.Millisecond)
		end(srv)
		done := batch()
		tr.CloseIdleConnections()
		next, err := server.Start(ctx, server.Options{Reuse: srv})
		if err != nil {
			t.Fatalf("cut %d: restart: %v", i, err)
		}
		srv = next
		for _, s := range done {
			tried++
			if s.created {
				created++
			}
		}
		intact(ctx, t, srv, web, done, kept)
	}
	r.count(t, "%d times, %d uploads tried, %d acknowledged, all of them whole", n, tried, created)
	if created == 0 || created == tried {
		t.Errorf("%d of %d were acknowledged: the cuts come too early or too late", created, tried)
	}
}

// HARDENING F5, for files: a file there is no room for is refused as that, and
// nothing of it stays; smaller ones and messages go on.
func TestUpload_diskFull(t *testing.T) {
	r := note(t, "F5", "a file larger than the room there is")
	d, err := newDisk(96)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.remove(); err != nil {
			t.Error(err)
		}
	})
	srv, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Host: "127.77.0.9", Dir: d.Dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { srv.Finish(t) }()
	dave, erin := pair(t, srv)
	tr := &http.Transport{TLSClientConfig: client.TLSConfig(server.Domain)}
	defer tr.CloseIdleConnections()
	web := &http.Client{Transport: tr, Timeout: time.Minute}
	for _, c := range []struct{ size, status int }{{1 << 20, http.StatusCreated}, {90 << 20, http.StatusInsufficientStorage}, {1<<20 + 1, http.StatusCreated}} {
		s := &sent{content: bytes.Repeat([]byte("x"), c.size)}
		put, err := s.slot(dave)
		if err != nil {
			t.Fatal(err)
		}
		q, err := http.NewRequest("PUT", "https://"+srv.HTTP+put, bytes.NewReader(s.content))
		if err != nil {
			t.Fatal(err)
		}
		res, err := web.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != c.status {
			t.Errorf("%d bytes: %d, want %d", c.size, res.StatusCode, c.status)
		}
		if err := dave.Send(chat(erin.JID, fmt.Sprint("after-", c.size), fmt.Sprint("after ", c.size))); err != nil {
			t.Fatal(err)
		}
		if _, err := erin.Take(patience, func(n *client.Node) bool { return n.Body() == fmt.Sprint("after ", c.size) }); err != nil {
			t.Errorf("a message after %d bytes: %v", c.size, err)
		}
	}
	if left := strays(srv, nil); len(left) != 2 || !strings.HasPrefix(left[0], "blob/") || !strings.HasPrefix(left[1], "blob/") {
		t.Errorf("on disk: %v", left)
	}
	r.count(t, "90 MiB on a disk of 96 refused with 507, nothing of it left; files and messages go on")
}

// uploads begins some; the function it returns waits for their ends.
func uploads(ctx context.Context, srv *server.Server, web *http.Client, rng *rand.Rand, most int) func() []*sent {
	var mu sync.Mutex
	var list []*sent
	var running sync.WaitGroup
	for range 4 {
		seed := rng.Uint64()
		running.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 3))
			c, err := client.Login(ctx, srv.Options("alice", fmt.Sprint("up", seed)))
			if err != nil {
				return // killed already
			}
			defer c.Close()
			for ctx.Err() == nil {
				s := &sent{content: make([]byte, 1+rng.IntN(most))}
				for i := range s.content {
					s.content[i] = byte(rng.Uint32())
				}
				put, err := s.slot(c)
				if err != nil {
					return
				}
				mu.Lock()
				list = append(list, s)
				mu.Unlock()
				q, err := http.NewRequestWithContext(ctx, "PUT", "https://"+srv.HTTP+put, bytes.NewReader(s.content))
				if err != nil {
					return
				}
				res, err := web.Do(q)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				s.created = res.StatusCode == http.StatusCreated
			}
		})
	}
	return func() []*sent { running.Wait(); return list }
}

func (s *sent) slot(c *client.Client) (put string, err error) {
	const space = "urn:xmpp:http:upload:0"
	n, err := c.IQ(20*time.Second, "get", server.Domain, fmt.Sprintf("<request xmlns='%s' filename='x' size='%d'/>", space, len(s.content)))
	if err != nil {
		return "", err
	}
	slot := n.Kid(space, "slot")
	if slot == nil {
		return "", fmt.Errorf("no slot: %s", n)
	}
	path := func(kind string) string {
		_, rest, _ := strings.Cut(slot.Kid(space, kind).Get("url"), "://")
		return rest[strings.IndexByte(rest, '/'):]
	}
	s.get = path("get")
	return path("put"), nil
}

// intact compares what there is with what was sent, and what is on disk with
// that and with what was there before.
func intact(ctx context.Context, t *testing.T, srv *server.Server, web *http.Client, last []*sent, kept map[string]bool) {
	t.Helper()
	for _, s := range last {
		q, err := http.NewRequestWithContext(ctx, "GET", "https://"+srv.HTTP+s.get, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := web.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		switch {
		case res.StatusCode == http.StatusOK && err == nil && bytes.Equal(b, s.content):
			sum := sha256.Sum256(b)
			h := hex.EncodeToString(sum[:])
			kept[filepath.Join("blob", h[:2], h[2:])] = true
		case res.StatusCode == http.StatusNotFound && !s.created:
		default:
			t.Errorf("a file of %d bytes, acknowledged %v: %d, %d bytes, %v", len(s.content), s.created, res.StatusCode, len(b), err)
		}
	}
	// The sweeper's first round comes with the start.
	var left []string
	for deadline := time.Now().Add(30 * time.Second); ; wait(ctx, 20*time.Millisecond) {
		if left = strays(srv, kept); len(left) == 0 || time.Now().After(deadline) {
			break
		}
	}
	if len(left) > 0 {
		t.Fatalf("on disk without a file: %v", left)
	}
	for path := range kept {
		if _, err := os.Stat(filepath.Join(srv.Data(), "files", path)); err != nil {
			t.Errorf("a file lost its content: %v", err)
		}
	}
}

func strays(srv *server.Server, want map[string]bool) (left []string) {
	root := filepath.Join(srv.Data(), "files")
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if rel, _ := filepath.Rel(root, path); !want[rel] {
				left = append(left, rel)
			}
		}
		return nil
	})
	return left
}
