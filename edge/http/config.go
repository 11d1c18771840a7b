package http

import (
	"context"
	"crypto/tls"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Tokens is where logins are kept; im/account.Store meets it.
type Tokens interface {
	MintToken(ctx context.Context, who jid.JID, kind account.Kind, ttl time.Duration) (string, error)
	MintChild(ctx context.Context, parent string, of, kind account.Kind, ttl time.Duration) (token string, who jid.JID, err error)
	RevokeToken(ctx context.Context, token string) error
}

// Config is what a Server is made of.
type Config struct {
	Domain  jid.JID
	Name    string // what the web client calls this place
	Version string
	// Hosts says how a hosted domain is called; ok is false if it is none. Nil: there is but Domain.
	Hosts func(domain string) (name string, ok bool)

	Assets fs.FS // the built web client
	Tokens Tokens
	// Credentials gives the secrets for logins from an address.
	Credentials func(source netip.Addr) sasl.Credentials
	// Revoked says whether an account was disabled, removed or given another
	// password since then (HARDENING A12); nil: nobody ever is.
	Revoked func(account jid.JID, since time.Time) bool
	// Origins are allowed beside the host itself, written "https://example.net".
	Origins   []string
	WebSocket http.Handler                                            // at /ws; nil if there is none
	Routes    []im.HTTPRoute                                          // of features
	XMPP      func(ctx context.Context, c *tls.Conn, pass *edge.Pass) // takes connections that chose xmpp-client; nil if there are none

	TLS       *tls.Config // made by Keys.Config with Protocols
	Handshake time.Duration
	// Timeout bounds a request and an answer; on a long route, how long they
	// may go without a byte. 0: 30 s.
	Timeout time.Duration
	Gate    *edge.Gate
	Pace    Pace // of requests from one address; zero: DefaultPace
	Files   *edge.Files
	Log     *slog.Logger
	Meter   *meter.Meter // nil: nobody reads what is counted
}

// Protocols are the names for ALPN, best first. Without ALPN it is HTTP/1.1.
func Protocols() []string { return []string{"h2", "http/1.1", xmppClient} }

const xmppClient = "xmpp-client" // XEP-0368 §3
