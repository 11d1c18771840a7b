package server

import (
	"context"

	"github.com/parlance-im/parlance/feature/invite"
	"github.com/parlance-im/parlance/feature/register"
	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// registration is XEP-0077 and XEP-0445, before a login to one host and, behind it, for all.
func registration(c *core, cfg *Config) *register.Register {
	r := &register.Register{Config: register.Config{
		Domain: cfg.Domain, Policy: register.Policy(cfg.Login.Registration),
		Of:      func(domain string) register.Policy { return register.Policy(c.hosts.config(domain).Login.Registration) },
		Limiter: c.attempts, Befriend: c.befriend, Log: c.log,
	}}
	if c.accounts != nil {
		r.Accounts, r.Invites = c.accounts, c.accounts.Invites
	}
	return r
}

// invitations is XEP-0401.
func invitations(c *core) im.Feature {
	conf := invite.Config{Domain: c.domain.Domain(), Base: c.base, Place: func(domain string) string { return c.hosts.config(domain).Name }, Policy: func(domain string) invite.Policy {
		l := c.hosts.config(domain).Login
		return invite.Policy{TTL: l.InviteLifetime.D(), Accounts: l.Registration != string(register.Closed), Everybody: l.Invite == "everybody"}
	}}
	if c.accounts != nil {
		conf.Invites, conf.Member = c.accounts.Invites, c.accounts.Active
		conf.Admin = func(ctx context.Context, who jid.JID) (bool, error) {
			return account.Of(c.accounts, who.Domain()).IsAdmin(ctx, who)
		}
	}
	return invite.Feature(conf)
}

// befriend makes two accounts each other's contacts: each has approved the other
// before it is asked (RFC 6121 §3.4), so that rosters and presence go the way
// of any subscription.
func (c *core) befriend(ctx context.Context, a, b jid.JID) error {
	bond, err := c.personal.Bond(ctx, a, b)
	if err != nil {
		return err
	}
	for _, pair := range [2][2]jid.JID{{a, b}, {b, a}} {
		approves, asks := pair[0], pair[1]
		st := stanza.Stanza{Kind: stanza.Presence, Type: stanza.Subscribe, From: asks, To: approves}
		for _, r := range []roster.Request{
			{Type: stanza.Subscribed, User: approves, Contact: asks, Local: true},
			{Type: stanza.Subscribe, User: asks, Contact: approves, Local: true, Stanza: st.AppendTo(nil)},
		} {
			if err := c.rosters.Apply(ctx, r, c.presence.Carry); err != nil {
				return err
			}
		}
	}
	c.personal.Bonded(ctx, bond) // they see each other's personal nodes, as by any subscription
	return nil
}

// welcoming is presence with invitations: a request that shows one is granted by
// the server for who has given it, and asked back (XEP-0379 §3.5).
type welcoming struct {
	deliver.Presence
	c *core
}

func (w welcoming) Subscription(ctx context.Context, s *session.Session, st *stanza.Stanza) error {
	if token := shown(st); token != "" && w.c.local(st.To.Domain()) {
		ok, err := w.c.accounts.Invites.Spend(ctx, token, st.To.Bare())
		if err == nil && ok && st.To.Bare() != s.JID().Bare() {
			return w.c.befriend(ctx, st.To.Bare(), s.JID().Bare())
		}
		// XEP-0379 §4.1: what is wrong with it does not matter, the request is one as any other.
	}
	return w.Presence.Subscription(ctx, s, st)
}

// shown is the token of an invitation.
func shown(st *stanza.Stanza) string {
	if st.Type != stanza.Subscribe {
		return ""
	}
	for _, k := range st.Kids {
		if k.Space == "urn:xmpp:pars:0" && k.Local == "preauth" {
			if e, err := st.Element(k); err == nil {
				return e.Attr("token")
			}
		}
	}
	return ""
}
