package c2s_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// desk answers for registration: with an invitation called "good".
type desk struct{ closed bool }

func (d desk) Offers() (open, invited bool) { return false, !d.closed }

func (d desk) Answer(_ context.Context, _ netip.Addr, token string, set bool, q *elem.Element) (*elem.Element, string, error) {
	switch {
	case q.Local == "preauth" && q.Attr("token") == "good":
		return nil, "good", nil
	case q.Local == "preauth" || token == "":
		return nil, "", stanza.Fail("item-not-found", "no")
	case !set:
		return elem.New("jabber:iq:register", "query"), token, nil
	}
	return nil, token, nil
}

const (
	shown  = "<iq type='set' id='p' to='acme.test'><preauth xmlns='urn:xmpp:pars:0' token='good'/></iq>"
	asked  = "<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>"
	signed = "<iq type='set' id='s'><query xmlns='jabber:iq:register'><username>a</username><password>b</password></query></iq>"
)

func registering(closed bool) func(*c2s.Config) {
	return func(c *c2s.Config) { c.Register = desk{closed} }
}

func TestRegister_withAnInvitation(t *testing.T) {
	b := start2(t, registering(false))
	if s := b.opened().Features.String(); strings.Contains(s, "register") {
		t.Errorf("offered before TLS: %s", s)
	}
	c := b.secured()
	if c.Features.Kid("urn:xmpp:ibr-token:0", "register") == nil || c.Features.Kid("http://jabber.org/features/iq-register", "register") == nil {
		t.Errorf("%v", c.Features)
	}
	for _, s := range []struct{ xml, want string }{
		{asked, "item-not-found"}, {signed, "item-not-found"}, {strings.Replace(shown, "good", "bad", 1), "item-not-found"},
		{shown, ""}, {asked, ""}, {signed, ""}, {signed, "not-acceptable"}, {asked, "not-acceptable"},
	} {
		send(t, c, s.xml)
		n := next(t, c)
		if n.Name.Local != "iq" || s.want == "" && n.Get("type") != "result" || s.want != "" && (n.Path("error") == nil || n.Path("error").Kids[0].Name.Local != s.want) {
			t.Errorf("%s: %v, want %q", s.xml, n, s.want)
		}
	}
	// And then the login, on the same stream.
	n, err := c.Auth2("PLAIN", "alice", edgetest.Password, bind2)
	authenticated(t, n, err)
}

// Nothing else is let through by it: HARDENING X10.
func TestRegister_nothingElse(t *testing.T) {
	for name, c := range map[string]struct {
		closed bool
		xml    string
	}{
		"closed":                   {true, signed},
		"closed, an invitation":    {true, shown},
		"another request":          {false, "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"},
		"two payloads":             {false, "<iq type='set' id='1'><query xmlns='jabber:iq:register'/><ping xmlns='urn:xmpp:ping'/></iq>"},
		"to somebody":              {false, strings.Replace(asked, "id=", "to='alice@acme.test' id=", 1)},
		"to another host":          {false, strings.Replace(asked, "id=", "to='other.test' id=", 1)},
		"no id":                    {false, strings.Replace(asked, " id='g'", "", 1)},
		"a result":                 {false, strings.Replace(asked, "'get'", "'result'", 1)},
		"in a message":             {false, "<message><query xmlns='jabber:iq:register'/></message>"},
		"another namespace":        {false, strings.Replace(asked, "<iq ", "<iq xmlns='jabber:server' ", 1)},
		"message":                  {false, message},
		"behind a first challenge": {false, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>biwsbj1hbGljZSxyPWFiYw==</auth>" + signed},
	} {
		t.Run(name, func(t *testing.T) {
			b := start2(t, registering(c.closed))
			conn := b.secured()
			send(t, conn, c.xml)
			closedWith(t, conn, "not-authorized")
			if len(b.core.Events()) > 0 {
				t.Errorf("%v", b.core.Events())
			}
		})
	}
	t.Run("before TLS", func(t *testing.T) {
		c := start2(t, registering(false)).opened()
		send(t, c, shown)
		closedWith(t, c, "not-authorized")
	})
}
