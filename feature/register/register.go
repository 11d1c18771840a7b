package register

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const (
	space   = "jabber:iq:register"
	preauth = "urn:xmpp:pars:0" // XEP-0379, XEP-0445
)

// Policy says who may make an account by itself.
type Policy string

// The policies.
const (
	Closed  Policy = "closed"  // nobody
	Invited Policy = "invited" // who has an invitation
	Open    Policy = "open"    // everybody
)

// Accounts changes passwords and removes accounts; im/account.Store meets it.
type Accounts interface {
	SetPassword(ctx context.Context, who jid.JID, password string) error
	Remove(ctx context.Context, who jid.JID) error
}

// Invites makes accounts; im/account.Invites meets it.
type Invites interface {
	Find(ctx context.Context, token string) (account.Invite, error)
	Register(ctx context.Context, token string, who jid.JID, password string) (account.Invite, error)
}

// Config is what registration runs on.
type Config struct {
	Domain string
	Policy Policy
	// Of is the policy of one host, for people who have logged in; nil: all have Policy.
	Of       func(domain string) Policy
	Accounts Accounts
	Invites  Invites
	// Limiter bounds attempts: each counts, whatever comes of it.
	Limiter *account.Limiter
	// Befriend makes two accounts each other's contacts.
	Befriend func(ctx context.Context, a, b jid.JID) error
	Log      *slog.Logger
}

// Register answers for registration.
type Register struct{ Config }

// Feature is what people who have logged in can do.
func (r *Register) Feature() im.Feature {
	f := im.Feature{
		Name: "register",
		Specs: []im.Spec{
			{ID: "XEP-0077", Version: "2.4", Status: "complete", Note: "password change; making and removing an account only where login.registration says so"},
			{ID: "XEP-0445", Version: "0.2.0", Status: "complete", Note: "where login.registration says so"},
		},
		HostFeatures: []string{space},
	}
	for _, scope := range []im.Scope{im.ToHost, im.ToSelf} {
		f.IQ = append(f.IQ,
			im.Route{Scope: scope, Type: stanza.Get, Space: space, Local: "query", Handle: r.registered},
			im.Route{Scope: scope, Type: stanza.Set, Space: space, Local: "query", Handle: r.change})
	}
	return f
}

// Offers says what is announced to who has not logged in.
func (r *Register) Offers() (open, invited bool) { return r.Policy == Open, r.Policy != Closed }

// registered is XEP-0077 §3.1 for somebody who is.
func (r *Register) registered(_ context.Context, q *im.IQ) (*elem.Element, error) {
	return elem.New(space, "query").Add(elem.New(space, "registered"),
		elem.New(space, "username").SetText(q.From.Local()), elem.New(space, "password")), nil
}

// change is XEP-0077 §3.2 and §3.3.
func (r *Register) change(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	who := q.From.Bare()
	if q.Payload.Child(space, "remove") != nil {
		return nil, r.remove(ctx, q, who)
	}
	name, password := fields(q.Payload)
	switch {
	case name == "" || password == "":
		return nil, stanza.Fail("bad-request", "your user name and the new password are needed; the old one stays")
	case !means(name, who):
		return nil, stanza.Fail("not-allowed", "you can only change your own password")
	}
	if err := r.attempt(netip.Addr{}, who.String()); err != nil {
		return nil, err
	}
	// HARDENING A12: every other session ends, this one has the new password.
	if s := q.Session; s != nil {
		s.Switch(func(f *session.Flags) { f.Spared = true })
		defer s.Switch(func(f *session.Flags) { f.Spared = false })
	}
	err := r.Accounts.SetPassword(ctx, who, password)
	if no, ok := errors.AsType[*account.Refused](err); ok {
		return nil, stanza.Fail("not-acceptable", no.Why)
	}
	return nil, err
}

// remove is XEP-0077 §3.2: allowed where people also come by themselves.
func (r *Register) remove(ctx context.Context, q *im.IQ, who jid.JID) error {
	switch {
	case len(q.Payload.Children) != 1:
		return stanza.Fail("bad-request", "<remove/> stands alone")
	case r.of(who.Domain()) != Open:
		return stanza.Fail("not-allowed", "your account is removed by an administrator")
	}
	if err := r.attempt(netip.Addr{}, who.String()); err != nil {
		return err
	}
	r.Log.Info("register: an account was removed by its owner", "account", who.String())
	return r.Accounts.Remove(ctx, who)
}

func (r *Register) of(domain string) Policy {
	if r.Of == nil {
		return r.Policy
	}
	return r.Of(domain)
}

// attempt counts one of a source or an account, and refuses it if there were too
// many: who tries in vain takes nothing from others.
func (r *Register) attempt(source netip.Addr, who string) error {
	if ok, _ := r.Limiter.Judge(source, who, false); !ok {
		return stanza.Fail("resource-constraint", "too many attempts; try again in a few minutes")
	}
	return nil
}

// means says that a name is somebody's: the simple user name or the address.
func means(name string, who jid.JID) bool {
	j, err := jid.Parse(name)
	if err == nil && j.Local() == "" {
		j, err = jid.New(name, who.Domain(), "")
	}
	return err == nil && j == who
}

// fields are name and password, from the form if there is one (XEP-0077 §4).
func fields(q *elem.Element) (name, password string) {
	if f := form.Read(q.Child(form.Space, "x")); f != nil && f.Type == "submit" {
		name, _ = f.Value("username")
		password, _ = f.Value("password")
		return name, password
	}
	return q.ChildText("username"), q.ChildText("password")
}
