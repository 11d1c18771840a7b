package file

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
)

// pail is as much of S3 as bucket asks for. gofakes3 is asked in interop/peers.
type pail struct {
	mu      sync.Mutex
	objects map[string]string
	asked   []string // methods and ranges, in order
	broken  bool
}

func (p *pail) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, strings.TrimSpace(r.Method+" "+r.Header.Get("Range")))
	if p.broken {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	switch r.Method {
	case http.MethodPut:
		if r.Header.Get("X-Amz-Content-Sha256") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		b, _ := io.ReadAll(r.Body)
		p.objects[r.URL.Path] = unchunked(string(b))
	case http.MethodDelete:
		delete(p.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	default:
		o, ok := p.objects[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("ETag", `"x"`)
		http.ServeContent(w, r, "", time.Unix(1, 0), strings.NewReader(o))
	}
}

// unchunked takes the content out of a signed body: SIZE;chunk-signature=…, content, …
func unchunked(s string) string {
	head, rest, ok := strings.Cut(s, "\r\n")
	var n int
	if _, err := fmt.Sscanf(head, "%x;", &n); !ok || err != nil || n > len(rest) {
		return s
	}
	return rest[:n]
}

func TestBucket_storesServesRemoves(t *testing.T) {
	p := &pail{objects: map[string]string{}}
	srv := httptest.NewServer(p)
	defer srv.Close()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		tr := &http.Transport{}
		t.Cleanup(tr.CloseIdleConnections)
		s := open(t, db, func(c *Config) {
			c.Keep = time.Hour
			c.S3 = &S3{Endpoint: strings.TrimPrefix(srv.URL, "http://"), Bucket: "pail", Region: "us-east-1", Prefix: "p/", AccessKey: "a", SecretKey: "s", Plain: true, Transport: tr}
		})
		f := s.add("0123456789")
		if o := p.objects["/pail/p/"+f.Hash]; o != "0123456789" || len(p.objects) != 1 {
			t.Fatalf("%v", p.objects)
		}
		if files, _ := s.disk(); len(files) != 0 {
			t.Errorf("on disk: %v", files)
		}
		c, err := s.Store.Open(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		p.asked = nil
		for _, want := range []struct {
			at, whence int
			text       string
		}{{4, io.SeekStart, "456"}, {0, io.SeekCurrent, "789"}, {-10, io.SeekEnd, "012"}, {-1, io.SeekEnd, "9"}} {
			if _, err := c.Seek(int64(want.at), want.whence); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, len(want.text))
			if _, err := io.ReadFull(c, b); err != nil || string(b) != want.text {
				t.Errorf("%q %v, want %q", b, err, want.text)
			}
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
		if _, err := c.Seek(-1, io.SeekStart); err == nil {
			t.Error("before the beginning")
		}
		c.Close()
		if got := strings.Join(p.asked, ", "); got != "GET bytes=4-9, GET, GET bytes=9-9" { // reading on is no new request
			t.Errorf("asked: %s", got)
		}
		g := s.grant(3)
		p.broken = true
		if _, err := s.put(g, "abc"); err == nil {
			t.Error("a bucket that refuses")
		}
		p.broken = false
		if _, err := s.put(g, "abc"); err != nil {
			t.Error(err)
		}
		s.c.move(2 * time.Hour)
		s.sweep()
		if len(p.objects) != 0 {
			t.Errorf("too old, and still there: %v", p.objects)
		}
		if _, err := s.Store.Open(t.Context(), f); err == nil {
			t.Error("an object that is not there opens")
		}
	})
}
