package attack

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// alike asks about each kind of name in turn until the fastest answers of all take as long
// as each other, or for as long as many tries do not bring that about: work beside it on the
// machine slows single answers, what the server does differently slows all of a kind.
func alike(t *testing.T, what string, least, most int, ask func(kind string, round int) (shape string, took time.Duration)) {
	t.Helper()
	kinds := []string{"existing", "missing", "disabled"}
	shapes, best := map[string]string{}, map[string]time.Duration{}
	odd := func() (kind string) {
		for _, k := range kinds[1:] {
			// HARDENING A6: 5 % or 0.2 ms; times ten for a machine that does other things too.
			if d := (best[k] - best["existing"]).Abs(); d > max(best["existing"]/2, 2*time.Millisecond) {
				kind = k
			}
		}
		return kind
	}
	rounds := 0
	for ; rounds < least || rounds < most && odd() != ""; rounds++ {
		for _, kind := range kinds {
			shape, took := ask(kind, rounds)
			if old, here := shapes[kind]; here && old != shape {
				t.Errorf("%s: %s answers %s, then %s", what, kind, old, shape)
			}
			shapes[kind] = shape
			if d, here := best[kind]; !here || took < d {
				best[kind] = took
			}
		}
	}
	for _, kind := range kinds[1:] {
		if shapes[kind] != shapes["existing"] {
			t.Errorf("%s: %s answers %s, existing %s", what, kind, shapes[kind], shapes["existing"])
		}
	}
	if kind := odd(); kind != "" {
		t.Errorf("%s: %s takes %v, existing %v", what, kind, best[kind], best["existing"])
	}
	t.Logf("%s, %d rounds: existing %v, missing %v, disabled %v: %s", what, rounds, best["existing"], best["missing"], best["disabled"], shapes["existing"])
	if *full {
		measured("A6", fmt.Sprintf("%s, %d rounds", what, rounds), fmt.Sprintf("existing %v, missing %v, disabled %v", best["existing"], best["missing"], best["disabled"]), "same words; 5 % or 0.2 ms")
	}
}

// A6 for the ways that came later: SCRAM-SHA-512, SASL2, a device's token (XEP-0484), registration where it is
// closed (XEP-0077), and what may be asked about others.
func TestA6_newerWaysIn(t *testing.T) {
	t.Parallel()
	const each = 20
	p := apart(t, 2*each+10, func(p *place) { p.wide = true })
	names := map[string][]string{}
	for i := range each {
		names["existing"] = append(names["existing"], p.person(t))
		gone := p.person(t)
		if err := p.user("", "disable", gone); err != nil {
			t.Fatal(err)
		}
		names["disabled"] = append(names["disabled"], gone)
		names["missing"] = append(names["missing"], fmt.Sprintf("persin%03d", i))
	}
	least, most := scaled(5, 30), 55 // 20 guesses a name are borne (A8): 400 of each kind
	name := func(kind string, round int) string { return names[kind][round%each] }
	alike(t, "SCRAM-SHA-512, the challenge", least, most, func(kind string, round int) (string, time.Duration) {
		c := p.at(t, secured, "")
		defer c.Close()
		began := time.Now()
		n, err := c.SASL("auth", "SCRAM-SHA-512", "n,,n="+name(kind, round)+",r="+client.Token())
		return challenge(t, n, err), time.Since(began)
	})
	alike(t, "SASL2 with SCRAM-SHA-256, a wrong password", least, most, func(kind string, round int) (string, time.Duration) {
		c := p.at(t, secured, "")
		defer c.Close()
		return wrongProof(t, c, name(kind, round))
	})
	alike(t, "SASL2 with PLAIN, a wrong password", least, most, func(kind string, round int) (string, time.Duration) {
		c := p.at(t, secured, "")
		defer c.Close()
		began := time.Now()
		n, err := c.Auth2("PLAIN", name(kind, round), "wrong password", "<bind xmlns='urn:xmpp:bind:0'/>")
		if err != nil {
			t.Fatal(err)
		}
		return n.String(), time.Since(began)
	})
	alike(t, "a token nobody was given", least, most, func(kind string, round int) (string, time.Duration) {
		c := p.at(t, secured, "")
		defer c.Close()
		proof := client.Authenticate("HT-SHA-256-NONE", client.TokenProof(name(kind, round), client.Token(), nil),
			"<user-agent xmlns='urn:xmpp:sasl:2' id='00000000-0000-4000-8000-000000000001'/><fast xmlns='urn:xmpp:fast:0'/>")
		began := time.Now()
		err := c.Send(proof)
		var n *client.Node
		if err == nil {
			n, err = c.Next()
		}
		if err != nil {
			t.Fatal(err)
		}
		return n.String(), time.Since(began)
	})
	alike(t, "registration of the name", least, most, func(kind string, round int) (string, time.Duration) {
		c := p.at(t, secured, "")
		defer c.Close()
		began := time.Now()
		err := c.Send("<iq type='set' id='r' to='" + server.Domain + "'><query xmlns='jabber:iq:register'><username>" + name(kind, round) + "</username><password>tomato-voyage-9</password></query></iq>")
		var n *client.Node
		if err == nil {
			n, err = c.Next()
		}
		if err != nil {
			return "ends: " + err.Error(), time.Since(began)
		}
		return n.String(), time.Since(began)
	})
	a := p.login(t, p.person(t), "asks")
	for what, payload := range map[string]string{
		"vcard-temp":      "<vCard xmlns='vcard-temp'/>",
		"what it can":     "<query xmlns='http://jabber.org/protocol/disco#info'/>",
		"when it was on":  "<query xmlns='jabber:iq:last'/>",
		"a personal node": "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub>",
		"vCard4":          "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:vcard4'/></pubsub>",
		"a command":       "<command xmlns='http://jabber.org/protocol/commands' node='http://jabber.org/protocol/admin#get-user-statistics'/>",
	} {
		alike(t, what, least, most, func(kind string, round int) (string, time.Duration) {
			who := bare(name(kind, round))
			began := time.Now()
			typ := "get"
			if strings.HasPrefix(payload, "<command") {
				typ = "set"
			}
			n, err := a.IQ(patience, typ, who, payload)
			if err != nil {
				t.Fatal(err)
			}
			return n.Get("type") + " " + strings.ReplaceAll(canon(n, nil), who, "NAME"), time.Since(began)
		})
	}
	form := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/admin</value></field><field var='accountjid'><value>%s</value></field></x>"
	alike(t, "a command about the account, by who is no administrator", least, most, func(kind string, round int) (string, time.Duration) {
		who := bare(name(kind, round))
		began := time.Now()
		n, err := a.IQ(patience, "set", server.Domain, "<command xmlns='http://jabber.org/protocol/commands' node='http://jabber.org/protocol/admin#delete-user' action='complete'>"+fmt.Sprintf(form, who)+"</command>")
		if err != nil {
			t.Fatal(err)
		}
		return n.Get("type") + " " + strings.ReplaceAll(canon(n, nil), who, "NAME"), time.Since(began)
	})
}

// wrongProof logs in over SASL2 by SCRAM with a wrong password: what the server said, and
// how long it took over it; our own hashing is not counted.
func wrongProof(t *testing.T, c *client.Conn, user string) (shape string, took time.Duration) {
	t.Helper()
	say := func(text string) *client.Node {
		began := time.Now()
		err := c.Send(text)
		var n *client.Node
		if err == nil {
			n, err = c.Next()
		}
		if took += time.Since(began); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := "n,,n=" + user + ",r=" + client.Token()
	n := say(client.Authenticate("SCRAM-SHA-256", first, ""))
	shape = challenge(t, n, nil)
	text, err := base64.StdEncoding.DecodeString(n.Text)
	if err != nil {
		t.Fatal(err)
	}
	final, err := scramFinal("SCRAM-SHA-256", first, string(text), "wrong password")
	if err != nil {
		t.Fatal(err)
	}
	return shape + " " + say("<response xmlns='urn:xmpp:sasl:2'>"+base64.StdEncoding.EncodeToString([]byte(final))+"</response>").String(), took
}

// challenge is a SCRAM challenge without what is random in it.
func challenge(t *testing.T, n *client.Node, err error) string {
	t.Helper()
	if err != nil || n.Name.Local != "challenge" {
		t.Fatalf("%v %v", n, err)
	}
	text, err := base64.StdEncoding.DecodeString(n.Text)
	if err != nil {
		t.Fatal(err)
	}
	f := scramFields(string(text))
	return fmt.Sprintf("nonce %d, salt %d, i=%s", len(f["r"]), len(f["s"]), f["i"])
}
