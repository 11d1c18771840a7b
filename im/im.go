package im

import (
	"context"
	"io/fs"
	"net/http"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Spec names a specification a feature implements.
type Spec struct {
	ID      string // "XEP-0199", "RFC 6121"
	Version string // of the text it was built from
	Status  string // "complete" or "partial"
	Note    string
}

// Scope says to whom an IQ must be addressed for a handler to be asked.
type Scope uint8

const (
	// ToHost handlers answer IQs addressed to the server's own domain.
	ToHost Scope = 1 << iota
	// ToSelf handlers answer IQs without "to" or to the sender's own bare JID (RFC 6120 §10.3.3).
	ToSelf
	// ToAccount handlers answer, on behalf of a local account, IQs other
	// entities sent to its bare JID (RFC 6121 §8.5.2.1.3).
	ToAccount
)

// IQ is one request for a handler: type get or set.
type IQ struct {
	Type     stanza.Type
	ID, Lang string
	From, To jid.JID // To is never zero: without "to" it is the sender's bare JID
	Payload  *elem.Element
	// Raw is the payload as written, valid on its own (its prefixes are declared).
	Raw []byte
	// Session is the sender's session; nil if the request comes from elsewhere.
	Session *session.Session
}

// Handler answers a request. It returns the payload of the result (nil for an
// empty one) or an error; a *stanza.Error is sent as it is, any other becomes
// internal-server-error with an incident id. What it writes is on disk before it returns.
type Handler func(ctx context.Context, q *IQ) (*elem.Element, error)

// Route binds a handler to a payload name.
type Route struct {
	Scope  Scope
	Type   stanza.Type // Get or Set; "" for both
	Space  string
	Local  string
	Handle Handler
}

// HTTPRoute is a pattern of net/http's ServeMux and its handler.
type HTTPRoute struct {
	Pattern string
	Handler http.Handler
	// Long: request and answer may take as long as bytes keep coming; every
	// other route has one deadline for all of it.
	Long bool
	// Public: pages of any origin may call it, whatever the method. It must not
	// look at cookies.
	Public bool
}

// Identity is a service discovery identity (XEP-0030 §3.1).
type Identity struct{ Category, Type, Name string }

// Feature is one piece of the server as data: what it implements, announces
// and answers. server/features.go lists them all; two claims on one IQ fail a test.
type Feature struct {
	Name  string
	Specs []Spec
	// HostFeatures and AccountFeatures are announced in disco#info of the
	// domain and of an account's bare JID (XEP-0030).
	HostFeatures    []string
	AccountFeatures []string
	Identities      []Identity // of the host
	// AccountIdentities are announced beside account/registered.
	AccountIdentities []Identity
	IQ                []Route
	HTTP              []HTTPRoute
	Commands          []Command // ad-hoc commands of the host
	Migrations        fs.FS     // dated *.sql files; nil if it owns no table
	// Start runs until ctx ends; nil if there is nothing to run.
	Start func(ctx context.Context) error
}
