package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof" // its routes on the default mux are served by nobody: TestHouse_noDefaultMux
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// profilePath is where net/http/pprof's index expects to be.
const profilePath = "/debug/pprof/"

// maxProfile bounds how long a profile watches.
const maxProfile = 10 * time.Minute

// lockRate is the sampling while somebody waits for a mutex or block profile,
// and only then: every tenth contended unlock; a wait of 100 µs is seen with
// certainty, a shorter one in proportion.
const (
	mutexFraction = 10
	blockRate     = 100_000 // ns
)

// profiles serves the profiles of this process. Lock profiles cost something on
// every contended lock, so that they are switched on only for a request.
type profiles struct {
	locks sync.Mutex // held by the one request that samples locks
}

// routes mounts net/http/pprof by hand on mux. What takes long ends with stopping.
func (p *profiles) routes(mux *http.ServeMux, stopping context.Context) {
	for name, h := range map[string]http.HandlerFunc{
		"":        pprof.Index, // its links, and goroutine, heap, allocs, threadcreate
		"cmdline": pprof.Cmdline,
		"profile": pprof.Profile,
		"symbol":  pprof.Symbol,
		"trace":   pprof.Trace,
		"mutex":   p.sampled("mutex", setMutexRate),
		"block":   p.sampled("block", setBlockRate),
	} {
		mux.HandleFunc("GET "+profilePath+name, func(w http.ResponseWriter, r *http.Request) {
			if s := r.URL.Query().Get("seconds"); s != "" {
				n, err := strconv.Atoi(s)
				if err != nil || n < 0 || n > int(maxProfile.Seconds()) {
					p, status := toProblem(&badRequest{fmt.Sprintf("seconds is a number from 0 to %d", int(maxProfile.Seconds()))})
					answer(w, status, p)
					return
				}
			}
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(stopping, cancel)()
			h(w, r.WithContext(ctx))
		})
	}
}

func setMutexRate(on bool) {
	if on {
		runtime.SetMutexProfileFraction(mutexFraction)
	} else {
		runtime.SetMutexProfileFraction(0)
	}
}

func setBlockRate(on bool) {
	if on {
		runtime.SetBlockProfileRate(blockRate)
	} else {
		runtime.SetBlockProfileRate(0)
	}
}

// sampled is a profile whose sampling runs only while it is asked for.
func (p *profiles) sampled(name string, set func(on bool)) http.HandlerFunc {
	h := pprof.Handler(name)
	return func(w http.ResponseWriter, r *http.Request) {
		if !p.locks.TryLock() {
			answer(w, http.StatusConflict, problem{"busy", "somebody else is taking a profile of locks"})
			return
		}
		defer p.locks.Unlock()
		set(true)
		defer set(false)
		h.ServeHTTP(w, r)
	}
}

// ProfileKinds are the profiles that can be asked for, and how each is watched
// if nothing else is said: 0 is what there is at this moment.
func ProfileKinds() []ProfileKind {
	const watch = 30 * time.Second
	return []ProfileKind{
		{"cpu", watch, "where the processors' time goes"},
		{"heap", 0, "what lives in memory, after a collection"},
		{"allocs", 0, "what has been allocated since the start, or in the time watched"},
		{"goroutine", 0, "what every goroutine is doing"},
		{"mutex", watch, "who kept others waiting for a lock"},
		{"block", watch, "who waited, for locks and channels"},
	}
}

// ProfileKind is one profile.
type ProfileKind struct {
	Name  string
	Watch time.Duration
	Tells string
}

// Profile writes a profile of the running server to w in pprof's format. It
// watches for d, in whole seconds; 0 takes what there is at this moment.
func (c *Client) Profile(ctx context.Context, kind string, d time.Duration, w io.Writer) error {
	path, q := kind, url.Values{}
	switch kind {
	case "cpu":
		path = "profile"
	case "heap":
		q.Set("gc", "1")
	}
	if s := int(d / time.Second); s > 0 {
		q.Set("seconds", strconv.Itoa(s))
	}
	res, err := c.send(ctx, http.MethodGet, profilePath+path+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return fmt.Errorf("api: profile: %w", err)
	}
	return nil
}

// plainText is an answer of net/http's own words instead of our JSON.
func plainText(res *http.Response) (string, bool) {
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		return "", false
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	return strings.TrimSpace(string(text)), err == nil && len(text) > 0
}
