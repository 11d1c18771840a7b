package register

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Answer answers a request of somebody who has not logged in. token is the
// invitation this connection has shown before; accepted is what it has then.
func (r *Register) Answer(ctx context.Context, source netip.Addr, token string, set bool, q *elem.Element) (result *elem.Element, accepted string, err error) {
	switch name := q.Space + " " + q.Local; {
	case r.Policy == Closed:
	case name == preauth+" preauth" && set:
		return r.invited(ctx, source, q.Attr("token"))
	case name == space+" query" && r.Policy == Invited && token == "":
		return nil, "", stanza.Fail("not-allowed", "accounts are made with an invitation here: show it first (XEP-0445)")
	case name == space+" query" && !set:
		result, err = r.ask(ctx, token)
		return result, token, err
	case name == space+" query":
		return nil, token, r.make(ctx, source, token, q)
	}
	return nil, token, stanza.Fail("service-unavailable", "log in before you ask for anything else")
}

// invited is XEP-0445 §4: the token is looked at, not used up.
func (r *Register) invited(ctx context.Context, source netip.Addr, token string) (*elem.Element, string, error) {
	if err := r.attempt(source, source.String()); err != nil {
		return nil, "", err
	}
	i, err := r.Invites.Find(ctx, token)
	switch {
	case errors.Is(err, account.ErrNoToken), err == nil && (!i.Account || i.Inviter.Domain() != r.Domain): // HARDENING I10: of another host
		return nil, "", stanza.Fail("item-not-found", "this invitation is not valid, or not any more")
	case err != nil:
		return nil, "", err
	}
	return nil, token, nil
}

// ask says what is needed (XEP-0077 §3.1).
func (r *Register) ask(ctx context.Context, token string) (*elem.Element, error) {
	name := ""
	if token != "" {
		if i, err := r.Invites.Find(ctx, token); err == nil {
			name = i.Name
		}
	}
	return elem.New(space, "query").Add(
		elem.New(space, "instructions").SetText("Choose a user name and a password."),
		elem.New(space, "username").SetText(name), elem.New(space, "password")), nil
}

// make makes the account (XEP-0077 §3.1).
func (r *Register) make(ctx context.Context, source netip.Addr, token string, q *elem.Element) error {
	name, password := fields(q)
	if name == "" || password == "" {
		return stanza.Fail("not-acceptable", "a user name and a password are needed")
	}
	if err := r.attempt(source, source.String()); err != nil {
		return err
	}
	who, err := jid.New(name, r.Domain, "")
	if err != nil || strings.HasPrefix(who.Local(), "guest-") {
		return stanza.Fail("not-acceptable", "this can't be a user name")
	}
	i, err := r.Invites.Register(ctx, token, who, password)
	refused, ok := errors.AsType[*account.Refused](err)
	switch {
	case ok:
		return stanza.Fail("not-acceptable", refused.Why)
	case errors.Is(err, account.ErrExists), errors.Is(err, account.ErrReserved):
		return stanza.Fail("conflict", "this user name can't be had")
	case errors.Is(err, account.ErrName):
		return stanza.Fail("not-acceptable", "this can't be a user name")
	case errors.Is(err, account.ErrNoToken):
		return stanza.Fail("not-allowed", "this invitation has been used")
	case err != nil:
		return err
	}
	r.Log.Info("register: an account was made", "account", who.String(), "remote", source.String(), "inviter", i.Inviter.String())
	if i.Contact {
		// XEP-0401 §5.5: the inviter hears of it at once.
		if err := r.Befriend(ctx, i.Inviter, who); err != nil {
			r.Log.Error("register: inviter and invited did not become contacts", "err", err)
		}
	}
	return nil
}
