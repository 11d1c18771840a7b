package invite

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Nodes of the commands, and the form of what they give (XEP-0401 §3, §12.1).
const (
	User   = "urn:xmpp:invite#invite"
	Create = "urn:xmpp:invite#create-account"
	result = "urn:xmpp:invite#invitation"
)

// Invites makes the tokens; im/account.Invites meets it.
type Invites interface {
	Mint(ctx context.Context, i account.Invite, ttl time.Duration) (token string, expires time.Time, err error)
	Find(ctx context.Context, token string) (account.Invite, error)
}

// Config is what the commands run on.
type Config struct {
	Invites Invites
	Policy  func(domain string) Policy
	Admin   func(ctx context.Context, who jid.JID) (bool, error) // administers its own domain
	Member  func(ctx context.Context, who jid.JID) (bool, error) // has an account
	Domain  string                                               // of the first host: what a link that is no good is answered for
	Place   func(domain string) string                           // what a host is called
	Base    func(domain string) string                           // the address of the HTTPS port; nil: there is no page
}

// Policy is what one host allows.
type Policy struct {
	TTL time.Duration
	// Accounts says that an invitation can make an account (login.registration).
	Accounts bool
	// Everybody lets people invite who are no administrators.
	Everybody bool
}

// Feature is XEP-0401.
func Feature(c Config) im.Feature {
	f := im.Feature{
		Name: "invite",
		Specs: []im.Spec{
			{ID: "XEP-0379", Version: "0.3.3", Status: "complete", Note: "the server answers for the inviter"},
			{ID: "XEP-0401", Version: "0.6.0", Status: "complete"},
		},
		Commands: []im.Command{
			{Node: User, Name: "Invite somebody", May: c.mayInvite, Run: c.user},
			{Node: Create, Name: "Invite somebody to a new account", May: c.mayCreate, Stages: []im.Stage{{Form: c.ask}}, Run: c.create},
		},
	}
	if c.Base != nil {
		f.HTTP = c.routes()
	}
	return f
}

// mayCreate: administrators, where an invitation can make an account.
func (c Config) mayCreate(ctx context.Context, host, who jid.JID) (bool, error) {
	if !c.Policy(host.Domain()).Accounts {
		return false, nil
	}
	return c.admin(ctx, host, who)
}

func (c Config) admin(ctx context.Context, host, who jid.JID) (bool, error) {
	if who.Domain() != host.Domain() {
		return false, nil
	}
	return c.Admin(ctx, who.Bare())
}

// mayInvite: guests may not, and people of elsewhere.
func (c Config) mayInvite(ctx context.Context, host, who jid.JID) (bool, error) {
	if !c.Policy(host.Domain()).Everybody {
		return c.admin(ctx, host, who)
	}
	if who.Domain() != host.Domain() {
		return false, nil
	}
	return c.Member(ctx, who.Bare())
}

// user is XEP-0401 §5.1.
func (c Config) user(ctx context.Context, call *im.Call) (*im.Outcome, error) {
	who, policy := call.Who.Bare(), c.Policy(call.Host.Domain())
	token, expires, err := c.Invites.Mint(ctx, account.Invite{Inviter: who, Account: policy.Accounts, Contact: true}, policy.TTL)
	if err != nil {
		return nil, refused(err)
	}
	uri := address(who) + "?roster;preauth=" + token
	if policy.Accounts {
		uri += ";ibr=y"
	}
	return c.told(call.Host.Domain(), uri, token, expires), nil
}

// ask is the form of XEP-0401 §5.4.
func (c Config) ask(context.Context, *im.Call) (*form.Form, error) {
	f := form.New("form", Create)
	f.Title, f.Instructions = "Invite somebody to a new account", "Without a user name the invited person chooses one."
	return f.Add("text-single", "username", "User name").Add("boolean", "roster-subscription", "Become each other's contacts", "1"), nil
}

// create is XEP-0401 §5.4.
func (c Config) create(ctx context.Context, call *im.Call) (*im.Outcome, error) {
	i := account.Invite{Inviter: call.Who.Bare(), Account: true}
	to := call.Host
	if name := strings.TrimSpace(call.Value("username")); name != "" {
		who, err := jid.New(name, call.Host.Domain(), "")
		if err != nil {
			return nil, stanza.Fail("not-acceptable", "this can't be a user name")
		}
		i.Name, to = who.Local(), who
	}
	v := call.Value("roster-subscription")
	i.Contact = v == "1" || v == "true"
	token, expires, err := c.Invites.Mint(ctx, i, c.Policy(call.Host.Domain()).TTL)
	if err != nil {
		return nil, refused(err)
	}
	return c.told(call.Host.Domain(), address(to)+"?register;preauth="+token, token, expires), nil
}

func refused(err error) error {
	switch {
	case errors.Is(err, account.ErrInvites):
		return stanza.Fail("resource-constraint", "you have many invitations that nobody has taken up yet")
	case errors.Is(err, account.ErrExists), errors.Is(err, account.ErrReserved):
		return stanza.Fail("conflict", "this user name can't be had")
	case errors.Is(err, account.ErrName):
		return stanza.Fail("not-acceptable", "this can't be a user name")
	}
	return err
}

// address is the beginning of an XMPP URI (RFC 5122).
func address(who jid.JID) string {
	if who.Local() == "" {
		return "xmpp:" + who.String()
	}
	return "xmpp:" + url.PathEscape(who.Local()) + "@" + who.Domain()
}

func (c Config) told(domain, uri, token string, expires time.Time) *im.Outcome {
	f := form.New("result", result)
	f.Add("text-single", "uri", "Link", uri)
	if page := c.landing(domain, token); page != "" {
		f.Add("text-single", "landing-url", "Page that explains it", page) // XEP-0401 §5.1
	}
	f.Add("text-single", "expire", "Good until", expires.Format(time.RFC3339))
	return &im.Outcome{Form: f}
}
