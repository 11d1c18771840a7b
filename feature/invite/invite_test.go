package invite

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

type minted struct {
	last account.Invite
	ttl  time.Duration
	err  error
}

func (m *minted) Mint(_ context.Context, i account.Invite, ttl time.Duration) (string, time.Time, error) {
	m.last, m.ttl = i, ttl
	return "TOKEN", time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), m.err
}

func (m *minted) Find(_ context.Context, token string) (account.Invite, error) {
	if token != "TOKEN" {
		return account.Invite{}, account.ErrNoToken
	}
	return m.last, m.err
}

var (
	host  = jid.MustParse("acme.test")
	admin = jid.MustParse("admin@acme.test/desk")
	alice = jid.MustParse("alice@acme.test/desk")
	away  = jid.MustParse("admin@other.test/desk")
	guest = jid.MustParse("guest-1@acme.test/x")
)

func conf(m *minted, accounts, everybody bool) Config {
	return Config{Invites: m, Policy: func(domain string) Policy {
		if domain != host.Domain() {
			return Policy{TTL: time.Minute, Accounts: true, Everybody: true}
		}
		return Policy{TTL: time.Hour, Accounts: accounts, Everybody: everybody}
	},
		Admin:  func(_ context.Context, who jid.JID) (bool, error) { return who.Local() == "admin", nil },
		Member: func(_ context.Context, who jid.JID) (bool, error) { return who != guest.Bare(), nil }}
}

func TestCommands_whoMay(t *testing.T) {
	for _, c := range []struct {
		everybody bool
		who       jid.JID
		user      bool
		create    bool
	}{
		{false, admin, true, true}, {false, alice, false, false}, {false, away, false, false}, {false, guest, false, false},
		{true, admin, true, true}, {true, alice, true, false}, {true, away, false, false}, {true, guest, false, false},
	} {
		f := Feature(conf(&minted{}, true, c.everybody))
		for i, want := range []bool{c.user, c.create} {
			if got, err := f.Commands[i].May(t.Context(), host, c.who); got != want || err != nil {
				t.Errorf("%s, everybody %v, %s: %v %v, want %v", f.Commands[i].Node, c.everybody, c.who, got, err, want)
			}
		}
	}
	f := Feature(conf(&minted{}, false, true))
	if may, err := f.Commands[1].May(t.Context(), host, admin); may || err != nil {
		t.Errorf("an account where nobody can make one: %v %v", may, err)
	}
}

func uri(t *testing.T, o *im.Outcome, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	u, _ := o.Form.Value("uri")
	if e, _ := o.Form.Value("expire"); e != "2026-12-01T00:00:00Z" || o.Form.Kind() != result {
		t.Errorf("expire %q of %s", e, o.Form.Kind())
	}
	return u
}

// XEP-0401 §5.1 and §5.4: the links.
func TestCommands_links(t *testing.T) {
	for _, c := range []struct {
		name     string
		accounts bool
		node     int
		who      jid.JID
		fields   map[string]string
		uri      string
		invite   account.Invite
	}{
		{"contact", false, 0, alice, nil, "xmpp:alice@acme.test?roster;preauth=TOKEN", account.Invite{Inviter: alice.Bare(), Contact: true}},
		{"contact or account", true, 0, alice, nil, "xmpp:alice@acme.test?roster;preauth=TOKEN;ibr=y", account.Invite{Inviter: alice.Bare(), Contact: true, Account: true}},
		{"a name that must be escaped", false, 0, jid.MustParse("a?b;c@acme.test/x"), nil, "xmpp:a%3Fb%3Bc@acme.test?roster;preauth=TOKEN",
			account.Invite{Inviter: jid.MustParse("a?b;c@acme.test"), Contact: true}},
		{"account of a name", true, 1, admin, map[string]string{"username": " Juliet ", "roster-subscription": "true"}, "xmpp:juliet@acme.test?register;preauth=TOKEN",
			account.Invite{Inviter: admin.Bare(), Name: "juliet", Account: true, Contact: true}},
		{"account of any name", true, 1, admin, map[string]string{"roster-subscription": "0"}, "xmpp:acme.test?register;preauth=TOKEN",
			account.Invite{Inviter: admin.Bare(), Account: true}},
	} {
		m := &minted{}
		call := &im.Call{Host: host, Who: c.who}
		f := form.New("submit", Create)
		for k, v := range c.fields {
			f.Add("", k, "", v)
		}
		call.Forms = append(call.Forms, f)
		o, err := Feature(conf(m, c.accounts, true)).Commands[c.node].Run(t.Context(), call)
		if got := uri(t, o, err); got != c.uri || m.last != c.invite || m.ttl != time.Hour {
			t.Errorf("%s: %s %+v, want %s %+v", c.name, got, m.last, c.uri, c.invite)
		}
	}
}

func TestCommands_refusals(t *testing.T) {
	for _, c := range []struct {
		err  error
		name string
		want string
	}{
		{nil, "a b", "not-acceptable"}, {account.ErrExists, "bob", "conflict"}, {account.ErrReserved, "bob", "conflict"},
		{account.ErrInvites, "", "resource-constraint"},
	} {
		call := &im.Call{Host: host, Who: admin, Forms: []*form.Form{form.New("submit", Create).Add("", "username", "", c.name)}}
		_, err := Feature(conf(&minted{err: c.err}, true, true)).Commands[1].Run(t.Context(), call)
		if e, ok := errors.AsType[*stanza.Error](err); !ok || e.Condition != c.want {
			t.Errorf("%q: %v, want %s", c.name, err, c.want)
		}
	}
}
