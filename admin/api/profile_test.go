package api

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestProfile_requests(t *testing.T) {
	var p profiles
	mux := http.NewServeMux()
	p.routes(mux, t.Context())
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, profilePath+path, nil))
		return w
	}
	for _, c := range []struct {
		method, path string
		want         int
		has          string
	}{
		{"GET", "", 200, "goroutine"},
		{"GET", "heap?gc=1", 200, ""},
		{"GET", "mutex", 200, ""},
		{"GET", "gossip", 404, ""},
		{"POST", "heap", 405, ""},
		{"GET", "profile?seconds=601", 400, "0 to 600"},
		{"GET", "mutex?seconds=-1", 400, "0 to 600"},
		{"GET", "heap?seconds=1s", 400, "0 to 600"},
	} {
		if got := ask(c.method, c.path); got.Code != c.want || !strings.Contains(got.Body.String(), c.has) {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.Code, got.Body)
		}
	}
	p.locks.Lock() // as another request does while it samples
	for _, kind := range []string{"mutex", "block"} {
		if got := ask("GET", kind+"?seconds=1"); got.Code != 409 || !strings.Contains(got.Body.String(), "busy") {
			t.Errorf("a second %s: %d %s", kind, got.Code, got.Body)
		}
	}
}

func TestProfile_endsWhenTheServerStops(t *testing.T) {
	s := serve(t)
	var got bytes.Buffer
	ended := make(chan error, 1)
	// Ten minutes are asked for; the test's own deadline is what fails if stopping does not end it.
	go func() { ended <- s.Profile(t.Context(), "cpu", 10*time.Minute, &got) }()
	// A second CPU profile is refused as soon as the first runs: that is how to tell that it does.
	for {
		err := s.Profile(t.Context(), "cpu", time.Second, &bytes.Buffer{})
		if err != nil && strings.Contains(err.Error(), "cpu profiling already in use") {
			break
		}
		select {
		case err := <-ended: // ours was the second
			if err == nil || !strings.Contains(err.Error(), "already in use") {
				t.Fatalf("the long profile ended: %v", err)
			}
			go func() { ended <- s.Profile(t.Context(), "cpu", 10*time.Minute, &got) }()
		default:
		}
	}
	s.stop()
	if err := <-ended; err != nil || got.Len() == 0 {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
}
