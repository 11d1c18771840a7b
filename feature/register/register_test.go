package register

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// people meets Accounts and Invites.
type people struct {
	did    []string
	err    error
	tokens map[string]account.Invite
	friend string
}

func (p *people) SetPassword(_ context.Context, who jid.JID, password string) error {
	p.did = append(p.did, "password "+who.String()+" "+password)
	return p.err
}

func (p *people) Remove(_ context.Context, who jid.JID) error {
	p.did = append(p.did, "remove "+who.String())
	return p.err
}

func (p *people) Find(_ context.Context, token string) (account.Invite, error) {
	if i, ok := p.tokens[token]; ok {
		return i, nil
	}
	return account.Invite{}, account.ErrNoToken
}

func (p *people) Register(_ context.Context, token string, who jid.JID, password string) (account.Invite, error) {
	p.did = append(p.did, "register "+token+" "+who.String()+" "+password)
	return p.tokens[token], p.err
}

var (
	alice = jid.MustParse("alice@acme.test/phone")
	bob   = jid.MustParse("bob@acme.test")
	here  = netip.MustParseAddr("192.0.2.1")
)

func fresh(policy Policy) (*Register, *people) {
	p := &people{tokens: map[string]account.Invite{
		"good":    {Inviter: bob, Account: true, Contact: true},
		"named":   {Inviter: bob, Account: true, Name: "zoe"},
		"contact": {Inviter: bob, Contact: true},
	}}
	return &Register{Config{Domain: "acme.test", Policy: policy, Accounts: p, Invites: p, Limiter: account.NewLimiter(30, 30, nil),
		Befriend: func(_ context.Context, a, b jid.JID) error { p.friend = a.String() + " " + b.String(); return nil },
		Log:      slog.New(slog.DiscardHandler)}}, p
}

func query(fields ...string) *elem.Element {
	q := elem.New(space, "query")
	for i := 0; i+1 < len(fields); i += 2 {
		q.Add(elem.New(space, fields[i]).SetText(fields[i+1]))
	}
	return q
}

func condition(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*stanza.Error](err); ok {
		return e.Condition
	}
	return err.Error()
}

// XEP-0077 §3.3 and its table of errors.
func TestChange_table(t *testing.T) {
	x := elem.New(space, "query").Add(form.New("submit", space).Add("", "username", "", "alice").Add("", "password", "", "new").Element())
	for _, c := range []struct {
		name   string
		policy Policy
		q      *elem.Element
		err    error
		want   string // condition
		did    string
	}{
		{"changed", Closed, query("username", "alice", "password", "new"), nil, "", "password alice@acme.test new"},
		{"by the whole address", Closed, query("username", "Alice@ACME.test", "password", "new"), nil, "", "password alice@acme.test new"},
		{"by the form (§4)", Closed, x, nil, "", "password alice@acme.test new"},
		{"somebody else's", Closed, query("username", "bob", "password", "new"), nil, "not-allowed", ""},
		{"of another domain", Closed, query("username", "alice@other.test", "password", "new"), nil, "not-allowed", ""},
		{"no name", Closed, query("password", "new"), nil, "bad-request", ""},
		{"empty password: the old one stays", Closed, query("username", "alice", "password", ""), nil, "bad-request", ""},
		{"nothing", Closed, query(), nil, "bad-request", ""},
		{"a bad password", Closed, query("username", "alice", "password", "new"), &account.Refused{Why: "short"}, "not-acceptable", "password alice@acme.test new"},
		{"leaving, closed", Closed, query("remove", ""), nil, "not-allowed", ""},
		{"leaving, invited", Invited, query("remove", ""), nil, "not-allowed", ""},
		{"leaving, open", Open, query("remove", ""), nil, "", "remove alice@acme.test"},
		{"leaving and more (§3.2)", Open, query("remove", "", "username", "alice"), nil, "bad-request", ""},
	} {
		r, p := fresh(c.policy)
		p.err = c.err
		_, err := r.change(t.Context(), &im.IQ{Type: stanza.Set, From: alice, Payload: c.q})
		did := ""
		if len(p.did) > 0 {
			did = p.did[0]
		}
		if condition(err) != c.want || did != c.did {
			t.Errorf("%s: %v, did %q; want %q, %q", c.name, err, did, c.want, c.did)
		}
	}
}

func TestRegistered_saysNoPassword(t *testing.T) {
	r, _ := fresh(Closed)
	q, err := r.registered(t.Context(), &im.IQ{From: alice})
	if err != nil || q.Child(space, "registered") == nil || q.ChildText("username") != "alice" || q.ChildText("password") != "" {
		t.Errorf("%v %v", q, err)
	}
}

// Before a login: XEP-0077 §3.1, XEP-0445 §4.
func TestAnswer_table(t *testing.T) {
	full := query("username", "Zoe", "password", "secret")
	show := func(token string) *elem.Element { return elem.New(preauth, "preauth", "token", token) }
	for _, c := range []struct {
		name     string
		policy   Policy
		token    string
		set      bool
		q        *elem.Element
		err      error
		want     string
		accepted string
		did      string
	}{
		{"closed", Closed, "", true, full, nil, "service-unavailable", "", ""},
		{"closed, with an invitation", Closed, "good", true, full, nil, "service-unavailable", "good", ""},
		{"closed, an invitation", Closed, "", true, show("good"), nil, "service-unavailable", "", ""},
		{"an invitation", Invited, "", true, show("good"), nil, "", "good", ""},
		{"an invitation asked for", Invited, "", false, show("good"), nil, "service-unavailable", "", ""},
		{"a guess", Invited, "", true, show("guess"), nil, "item-not-found", "", ""},
		{"a guess after a good one", Invited, "good", true, show("guess"), nil, "item-not-found", "", ""},
		{"one for a contact alone", Invited, "", true, show("contact"), nil, "item-not-found", "", ""},
		{"fields without it", Invited, "", false, query(), nil, "not-allowed", "", ""},
		{"an account without it", Invited, "", true, full, nil, "not-allowed", "", ""},
		{"fields with it", Invited, "good", false, query(), nil, "", "good", ""},
		{"an account with it", Invited, "good", true, full, nil, "", "good", "register good zoe@acme.test secret"},
		{"open", Open, "", true, full, nil, "", "", "register  zoe@acme.test secret"},
		{"no password", Open, "", true, query("username", "zoe"), nil, "not-acceptable", "", ""},
		{"no name a name can be", Open, "", true, query("username", "a b", "password", "x"), nil, "not-acceptable", "", ""},
		{"a guest's name", Open, "", true, query("username", "Guest-1", "password", "x"), nil, "not-acceptable", "", ""},
		{"taken", Open, "", true, full, account.ErrExists, "conflict", "", "register  zoe@acme.test secret"},
		{"reserved", Open, "", true, full, account.ErrReserved, "conflict", "", "register  zoe@acme.test secret"},
		{"a bad password", Open, "", true, full, &account.Refused{Why: "short"}, "not-acceptable", "", "register  zoe@acme.test secret"},
		{"used meanwhile", Invited, "good", true, full, account.ErrNoToken, "not-allowed", "good", "register good zoe@acme.test secret"},
		{"something else", Open, "", true, elem.New("urn:xmpp:ping", "ping"), nil, "service-unavailable", "", ""},
	} {
		r, p := fresh(c.policy)
		p.err = c.err
		_, accepted, err := r.Answer(t.Context(), here, c.token, c.set, c.q)
		did := ""
		if len(p.did) > 0 {
			did = p.did[0]
		}
		if condition(err) != c.want || accepted != c.accepted || did != c.did {
			t.Errorf("%s: %v, has %q, did %q; want %q, %q, %q", c.name, err, accepted, did, c.want, c.accepted, c.did)
		}
		if friends := p.friend == "bob@acme.test zoe@acme.test"; friends != (c.token == "good" && err == nil && did != "") {
			t.Errorf("%s: contacts %q", c.name, p.friend)
		}
	}
}

func TestAnswer_namesTheReservedName(t *testing.T) {
	r, _ := fresh(Invited)
	q, _, err := r.Answer(t.Context(), here, "named", false, query())
	if err != nil || q.ChildText("username") != "zoe" {
		t.Errorf("%v %v", q, err)
	}
}

// HARDENING A8: one source's guesses end, another's do not.
func TestAnswer_attemptsAreCounted(t *testing.T) {
	r, _ := fresh(Invited)
	last, n := "", 0
	for ; last != "resource-constraint" && n < 100; n++ {
		_, _, err := r.Answer(t.Context(), here, "", true, elem.New(preauth, "preauth", "token", "guess"))
		last = condition(err)
	}
	if n > 31 {
		t.Errorf("%d guesses", n)
	}
	if _, _, err := r.Answer(t.Context(), netip.MustParseAddr("192.0.2.2"), "", true, elem.New(preauth, "preauth", "token", "good")); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}
