package http_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	edgehttp "github.com/parlance-im/parlance/edge/http"
	"github.com/parlance-im/parlance/im"
)

// piece is what comes at a time: at ten a second more than a long route demands.
const piece = 1 << 10

// drip gives a piece at a time, so many, with a pause before each.
type drip struct {
	ctx   context.Context
	n     int
	pause time.Duration
}

func (d *drip) Read(p []byte) (int, error) {
	if d.n == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(d.pause):
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
	d.n--
	return copy(p, bytes.Repeat([]byte("x"), piece)), nil
}

// With a timeout of 1 s a body and an answer of 2.5 s arrive on a long route,
// because bytes keep coming, and on no other; a body that stops does not.
func TestLong_deadlinesMoveWithTheBytes(t *testing.T) {
	const timeout, pause, n = time.Second, 100 * time.Millisecond, 25
	const size = n * piece
	take := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
			return
		}
		fmt.Fprint(w, len(got))
	})
	give := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range n {
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
				return
			}
			w.Write(make([]byte, piece))
			http.NewResponseController(w).Flush()
		}
	})
	for _, proto := range []string{"h2", "http/1.1"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			b := start(t, func(c *edgehttp.Config) {
				c.Timeout = timeout
				c.Routes = append(c.Routes, im.HTTPRoute{Pattern: "PUT /long", Handler: take, Long: true}, im.HTTPRoute{Pattern: "PUT /short", Handler: take},
					im.HTTPRoute{Pattern: "GET /long", Handler: give, Long: true}, im.HTTPRoute{Pattern: "GET /short", Handler: give})
			})
			if proto == "http/1.1" {
				tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
				t.Cleanup(tr.CloseIdleConnections)
				b.http.Transport = tr
			}
			put := func(path string, d drip) (string, error) {
				r, err := http.NewRequestWithContext(t.Context(), "PUT", b.url+path, &d)
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength = size
				return answerTo(b, r)
			}
			get := func(path string) (string, error) {
				r, err := http.NewRequestWithContext(t.Context(), "GET", b.url+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				return answerTo(b, r)
			}
			if got, err := put("/long", drip{t.Context(), n, pause}); got != fmt.Sprint(size) || err != nil {
				t.Errorf("a slow upload: %q %v", got, err)
			}
			if got, err := get("/long"); len(got) != size || err != nil {
				t.Errorf("a slow download: %d bytes %v", len(got), err)
			}
			if got, err := put("/short", drip{t.Context(), n, pause}); got == fmt.Sprint(size) {
				t.Errorf("a slow body on an ordinary route is taken: %v", err)
			}
			if got, err := get("/short"); len(got) == size && err == nil {
				t.Error("a slow answer on an ordinary route arrives")
			}
			if got, err := put("/long", drip{t.Context(), n, 3 * timeout}); got == fmt.Sprint(size) {
				t.Errorf("an upload that stands still is taken: %v", err)
			}
		})
	}
}

func answerTo(b *bench, r *http.Request) (string, error) {
	res, err := b.http.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var body bytes.Buffer
	_, err = io.Copy(&body, res.Body)
	if res.StatusCode != 200 {
		err = errors.Join(err, fmt.Errorf("status %d", res.StatusCode))
	}
	return body.String(), err
}

func TestPublic_otherOriginsMayCall(t *testing.T) {
	b := start(t, func(c *edgehttp.Config) {
		c.Routes = append(c.Routes, im.HTTPRoute{Pattern: "PUT /open/{x}", Public: true,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })})
	})
	b.wants(b.do("PUT", "/open/a", "x", "Origin", "https://other.test"), 201, "")
	b.wants(b.do("DELETE", "/open/a", "", "Origin", "https://other.test"), 403, "bad-origin") // another route: none
	b.wants(b.do("POST", "/change", "{}", "Origin", "https://other.test"), 403, "bad-origin")
	b.wants(b.do("PUT", "/open/../change", "{}", "Origin", "https://other.test"), 403, "bad-origin")
}
