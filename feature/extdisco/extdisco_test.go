package extdisco

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

var (
	host  = jid.MustParse("x.test")
	alice = jid.MustParse("alice@x.test/1")
	now   = time.Unix(1_800_000_000, 5e8)
)

// golden is what another program makes of the secret:
// printf 1800003600:alice@x.test | openssl dgst -sha1 -hmac north -binary | base64
const golden = "KnuZy3iiVLxKuwVkyiUj2DVJKNk="

func must(t *testing.T, uris ...string) (out []Entry) {
	t.Helper()
	for _, u := range uris {
		s, err := Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func ask(t *testing.T, set Settings, q im.IQ, payload string) (string, error) {
	t.Helper()
	var err error
	if q.Payload, err = elem.Parse([]byte(payload)); err != nil {
		t.Fatal(err)
	}
	c := Config{Of: func(string) Settings { return set }, Now: func() time.Time { return now }}
	for _, r := range Feature(c).IQ {
		if r.Type == stanza.Get && r.Space == q.Payload.Space && r.Local == q.Payload.Local {
			out, err := r.Handle(t.Context(), &q)
			if out == nil {
				return "", err
			}
			return out.String(), err
		}
	}
	t.Fatal("nobody answers")
	return "", nil
}

func own() im.IQ {
	return im.IQ{Type: stanza.Get, From: alice, To: host, Session: session.New(alice, session.Limits{}, nil, nil, now)}
}

func TestParse_uris(t *testing.T) {
	for uri, want := range map[string]Entry{
		"stun:s.test":                           {"stun", "s.test", 3478, "udp"},
		"stuns:s.test":                          {"stuns", "s.test", 5349, "tcp"},
		"turn:t.test:99?transport=tcp":          {"turn", "t.test", 99, "tcp"},
		"turns:[2001:db8::1]:443?transport=tcp": {"turns", "2001:db8::1", 443, "tcp"},
		"turn:[2001:db8::1]":                    {"turn", "2001:db8::1", 3478, "udp"},
		"turn:192.0.2.1":                        {"turn", "192.0.2.1", 3478, "udp"},
	} {
		if got, err := Parse(uri); err != nil || got != want {
			t.Errorf("%s: %v %v", uri, got, err)
		}
	}
	for _, uri := range []string{"", "turn", "turn:", "http:x", "turn:a:b:c", "turn:a:0", "turn:a:70000", "turn:a?transport=sctp", "turn:a?udp", "turn:u@a", "turn://a", "turn:a b"} {
		if got, err := Parse(uri); err == nil {
			t.Errorf("%q: %v", uri, got)
		}
	}
}

func TestServices_credentials(t *testing.T) {
	all := must(t, "turn:t.test", "stun:t.test", "turns:t.test:443")
	secret := Settings{Services: all, Secret: "north", Lifetime: time.Hour}
	for name, c := range map[string]struct {
		set       Settings
		ask, want string
	}{
		"all (XEP-0215 §3.1)":            {Settings{Services: all}, `<services xmlns='urn:xmpp:extdisco:2'/>`, `<services xmlns='urn:xmpp:extdisco:2'><service host='t.test' port='3478' transport='udp' type='turn'/><service host='t.test' port='3478' transport='udp' type='stun'/><service host='t.test' port='443' transport='tcp' type='turns'/></services>`},
		"of a type (§3.2)":               {secret, `<services xmlns='urn:xmpp:extdisco:2' type='stun'/>`, `<services xmlns='urn:xmpp:extdisco:2' type='stun'><service host='t.test' port='3478' transport='udp' type='stun'/></services>`},
		"none of a type":                 {secret, `<services xmlns='urn:xmpp:extdisco:2' type='ftp'/>`, `<services xmlns='urn:xmpp:extdisco:2' type='ftp'/>`},
		"made of a secret (§2)":          {secret, `<services xmlns='urn:xmpp:extdisco:2' type='turn'/>`, `<services xmlns='urn:xmpp:extdisco:2' type='turn'><service host='t.test' port='3478' transport='udp' type='turn' restricted='true' username='1800003600:alice@x.test' password='@@' expires='2027-01-15T09:00:00Z'/></services>`},
		"the same for all":               {Settings{Services: all, Username: "u", Password: "p"}, `<services xmlns='urn:xmpp:extdisco:2' type='turn'/>`, `<services xmlns='urn:xmpp:extdisco:2' type='turn'><service host='t.test' port='3478' transport='udp' type='turn' restricted='true' username='u' password='p'/></services>`},
		"credentials (§3.3)":             {secret, `<credentials xmlns='urn:xmpp:extdisco:2'><service host='t.test' type='turn' port='3478'/></credentials>`, `<credentials xmlns='urn:xmpp:extdisco:2'><service host='t.test' port='3478' transport='udp' type='turn' restricted='true' username='1800003600:alice@x.test' password='@@' expires='2027-01-15T09:00:00Z'/></credentials>`},
		"credentials of another (§3.3)":  {secret, `<credentials xmlns='urn:xmpp:extdisco:2'><service host='u.test' type='turn'/></credentials>`, "item-not-found"},
		"credentials at another port":    {secret, `<credentials xmlns='urn:xmpp:extdisco:2'><service host='t.test' type='turn' port='1'/></credentials>`, "item-not-found"},
		"credentials of nothing":         {secret, `<credentials xmlns='urn:xmpp:extdisco:2'/>`, "bad-request"},
		"credentials without a host":     {secret, `<credentials xmlns='urn:xmpp:extdisco:2'><service type='turn'/></credentials>`, "bad-request"},
		"credentials where none is need": {secret, `<credentials xmlns='urn:xmpp:extdisco:2'><service host='t.test' type='stun'/></credentials>`, `<credentials xmlns='urn:xmpp:extdisco:2'><service host='t.test' port='3478' transport='udp' type='stun'/></credentials>`},
	} {
		got, err := ask(t, c.set, own(), c.ask)
		var se *stanza.Error
		if errors.As(err, &se) {
			got = se.Condition
		}
		if want := strings.ReplaceAll(c.want, "@@", golden); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestServices_strangersGetNothing(t *testing.T) {
	set := Settings{Services: must(t, "turn:t.test"), Secret: "north", Lifetime: time.Hour}
	other, remote := own(), own()
	other.From = jid.MustParse("mallory@y.test/1")
	remote.Session = nil
	for _, q := range []im.IQ{other, remote} {
		for _, p := range []string{`<services xmlns='urn:xmpp:extdisco:2'/>`, `<credentials xmlns='urn:xmpp:extdisco:2'><service host='t.test' type='turn'/></credentials>`} {
			var se *stanza.Error
			if got, err := ask(t, set, q, p); !errors.As(err, &se) || se.Condition != "forbidden" {
				t.Errorf("%s: %s %v", p, got, err)
			}
		}
	}
}

// XEP-0215 §3.2: those who asked hear of what is other now, and of nothing else.
func TestChanged_addDeleteModify(t *testing.T) {
	q := own()
	before := Settings{Services: must(t, "turn:a.test", "stun:a.test")}
	if _, err := ask(t, before, q, `<services xmlns='urn:xmpp:extdisco:2'/>`); err != nil || !q.Session.Flags().Services {
		t.Errorf("who asks is noted: %v", err)
	}
	tell := func(after Settings) (out []string) {
		e := Changed(before, after, alice.Bare(), now)
		if e == nil {
			return nil
		}
		for _, s := range e.Children {
			out = append(out, s.Attr("action")+" "+s.Attr("type")+":"+s.Attr("host")+" "+s.Attr("username"))
		}
		return out
	}
	for name, c := range map[string]struct {
		after Settings
		want  []string
	}{
		"nothing":   {before, nil},
		"lifetime":  {Settings{Services: before.Services, Lifetime: time.Hour}, nil},
		"another":   {Settings{Services: must(t, "turn:b.test", "stun:a.test")}, []string{"delete turn:a.test ", "add turn:b.test "}},
		"a secret":  {Settings{Services: before.Services, Secret: "s"}, []string{"modify turn:a.test 1800000000:alice@x.test"}},
		"all gone":  {Settings{}, []string{"delete turn:a.test ", "delete stun:a.test "}},
		"reordered": {Settings{Services: must(t, "stun:a.test", "turn:a.test")}, nil},
	} {
		if got := tell(c.after); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
