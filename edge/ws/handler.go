package ws

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	gobwas "github.com/gobwas/ws"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/c2s"
)

// Subprotocol is RFC 7395 §3.2.
const Subprotocol = "xmpp"

// Handler upgrades requests and gives the connections to a c2s.Server.
type Handler struct {
	// Server runs the streams.
	Server *c2s.Server
	// Gate is the one of all listeners.
	Gate *edge.Gate
	// Origins are allowed beside the host itself, written "https://example.net".
	Origins []string
	Log     *slog.Logger
	// Context lasts as long as connections may: a request's own ends with it.
	Context context.Context
}

// ServeHTTP answers the opening handshake (RFC 6455 §4.2).
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !offered(r) {
		// RFC 7395 §3.2: both sides must speak the subprotocol.
		w.Header().Set("Sec-WebSocket-Protocol", Subprotocol)
		http.Error(w, "Ask for the WebSocket subprotocol \"xmpp\" (RFC 7395).", http.StatusBadRequest)
		return
	}
	if !h.allowed(r) {
		http.Error(w, "This page may not connect here.", http.StatusForbidden)
		return
	}
	var source netip.Addr
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		source = a.Addr().Unmap()
	}
	pass, err := h.Gate.Enter(r.Context(), source)
	if err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "Too many connections that are not logged in.", http.StatusServiceUnavailable)
		return
	}
	up := gobwas.HTTPUpgrader{Timeout: 10 * time.Second, Protocol: func(p string) bool { return p == Subprotocol }}
	conn, rw, _, err := up.Upgrade(r, w)
	if err != nil {
		pass.Leave()
		h.Log.Debug("websocket refused", "remote", r.RemoteAddr, "error", err)
		if conn != nil {
			conn.Close()
		}
		return
	}
	var initial []byte
	if n := rw.Reader.Buffered(); n > 0 {
		b, _ := rw.Reader.Peek(n)
		initial = slices.Clone(b)
	}
	// The request's goroutine, buffers and stack end here.
	go h.Server.Run(h.Context, c2s.Opening{
		Conn: conn, Pass: pass, Framing: framing{}, Decoder: &decoder{}, Initial: initial,
	})
}

// offered says that the client speaks the subprotocol.
func offered(r *http.Request) bool {
	for _, v := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(v, ",") {
			if strings.TrimSpace(p) == Subprotocol {
				return true
			}
		}
	}
	return false
}

// allowed checks the page a browser connects from (RFC 6455 §10.2, HARDENING H1,
// V6). What is no browser sends none; nobody is logged in by a cookie here.
func (h *Handler) allowed(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return false
	}
	if slices.Contains(h.Origins, values[0]) {
		return true
	}
	scheme := "https"
	if r.TLS == nil {
		scheme = "http"
	}
	u, err := url.Parse(values[0])
	return err == nil && u.Scheme == scheme && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
