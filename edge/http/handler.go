package http

import (
	"crypto/rand"
	"net/http"
	"runtime/debug"
	"strings"
)

// handler is the router. What is not listed does not exist (HARDENING V13).
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/session", s.login)
	mux.HandleFunc("DELETE /api/v1/session", s.logout)
	mux.HandleFunc("POST /api/v1/token", s.token)
	mux.HandleFunc("GET /api/v1/info", s.info)
	mux.HandleFunc("/api/", s.unknown)
	for _, path := range []string{"/api/v1/session", "/api/v1/token", "/api/v1/info"} {
		mux.HandleFunc(path, s.wrongMethod)
	}
	if s.conf.WebSocket != nil {
		mux.Handle("GET /ws", s.conf.WebSocket)
	}
	public := map[string]bool{}
	for _, r := range s.conf.Routes {
		h := r.Handler
		if r.Long {
			h = s.long(h)
		}
		mux.Handle(r.Pattern, h)
		public[r.Pattern] = r.Public
	}
	mux.Handle("/", newAssets(s.conf.Assets))
	return s.shell(mux, func(r *http.Request) bool {
		_, pattern := mux.Handler(r)
		return public[pattern]
	})
}

// shell is around every request: headers that hold everywhere, and the end of
// a panic. public says which requests pages of other sites may make.
func (s *Server) shell(next http.Handler, public func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil || p == http.ErrAbortHandler {
				return
			}
			id := rand.Text()[:10]
			s.conf.Log.Error("request ended by a panic", "path", r.URL.Path, "incident", id, "panic", p, "stack", string(debug.Stack()))
			fail(w, problem{Status: http.StatusInternalServerError, Code: "internal", Detail: "Something went wrong here. Incident " + id + "."})
		}()
		if !plainHost(r.Host) {
			fail(w, problem{Status: http.StatusBadRequest, Code: "bad-host", Detail: "The Host header is not a host."})
			return
		}
		secure(w.Header(), r)
		if !s.paced(w, r) {
			return
		}
		if strings.HasPrefix(r.URL.Path, "/api/") {
			w.Header().Set("Cache-Control", "no-store")
			r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		}
		// Whatever route it is for: another site's page changes nothing here
		// (HARDENING V5). Browsers name the page with every such request.
		if r.Method != http.MethodGet && r.Method != http.MethodHead && len(r.Header.Values("Origin")) > 0 &&
			!public(r) && !s.sameOrigin(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// secure sets the headers of every answer.
func secure(h http.Header, r *http.Request) {
	scheme := "ws://"
	if r.TLS != nil {
		scheme = "wss://"
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "+
		"img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; connect-src 'self' "+scheme+r.Host+"; "+
		"worker-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), geolocation=()")
	// RFC 6797 §7.2: over TLS alone. Not for localhost, whose other ports are
	// other people's programs.
	if name, _, _ := strings.Cut(r.Host, ":"); r.TLS != nil && name != "localhost" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// plainHost says that a Host header holds nothing that could get out of the
// places it is written to.
func plainHost(h string) bool {
	for i := range len(h) {
		c := h[i]
		alnum := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alnum {
			if strings.IndexByte(".-:[]_", c) < 0 {
				return false
			}
		}
	}
	return h != "" && len(h) <= 260
}

func (s *Server) unknown(w http.ResponseWriter, _ *http.Request) {
	fail(w, problem{Status: http.StatusNotFound, Code: "not-found", Detail: "There is no such call."})
}

func (s *Server) wrongMethod(w http.ResponseWriter, r *http.Request) {
	allow := map[string]string{"/api/v1/session": "POST, DELETE", "/api/v1/token": "POST", "/api/v1/info": "GET"}[r.URL.Path]
	w.Header().Set("Allow", allow)
	fail(w, problem{Status: http.StatusMethodNotAllowed, Code: "method-not-allowed", Detail: "Use " + allow + "."})
}
