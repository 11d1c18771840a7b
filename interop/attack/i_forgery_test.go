package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

const (
	sid     = "urn:xmpp:sid:0"
	carbons = "urn:xmpp:carbons:2"
	mam     = "urn:xmpp:mam:2"
	forward = "urn:xmpp:forward:0"
	roster  = "jabber:iq:roster"
)

// walk calls f for n and everything in it.
func walk(n *client.Node, f func(*client.Node)) {
	f(n)
	for _, k := range n.Kids {
		walk(k, f)
	}
}

// I1: whatever "from" says, the victim sees who it was (RFC 6120 §8.1.2.1).
func TestI1_fromSpoof(t *testing.T) {
	t.Parallel()
	p := target(t)
	a := p.login(t, p.person(t), "real")
	p.login(t, a.Opt.User, "other")
	victim := p.login(t, p.person(t), "victim")
	wsUser := p.person(t)
	w := p.websocketBound(t, wsUser)
	froms := []string{
		"alice@" + server.Domain, bare(victim.Opt.User), victim.JID, bare(a.Opt.User), bare(a.Opt.User) + "/other", strings.ToUpper(a.JID),
		server.Domain, "", "other.test", "not@a@jid", "\x09", "alice@" + server.Domain + "/x",
	}
	kinds := []string{
		"<message%s id='%s' to='" + victim.JID + "'%s><body>x</body></message>",
		"<message%s type='chat' id='%s' to='" + victim.JID + "'%s><body>x</body></message>",
		"<message%s type='error' id='%s' to='" + victim.JID + "'%s><body>x</body></message>",
		"<message%s type='headline' id='%s' to='" + victim.JID + "'%s><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
		"<presence%s id='%s' to='" + victim.JID + "'%s/>",
		"<iq%s type='get' id='%s' to='" + victim.JID + "'%s><x xmlns='y'/></iq>",
		"<iq%s type='set' id='%s' to='" + victim.JID + "'%s><x xmlns='y'/></iq>",
		"<iq%s type='result' id='%s' to='" + victim.JID + "'%s/>",
	}
	sent := 0
	for i, from := range froms {
		for k, kind := range kinds {
			at := " from='" + client.Escape(from) + "'"
			head, end := at, ""
			if (i+k)%2 == 1 { // before or behind the other attributes
				head, end = "", at
			}
			if err := a.Send(fmt.Sprintf(kind, head, fmt.Sprintf("c-%d-%d", i, k), end)); err != nil {
				t.Fatal(err)
			}
			w.text(t, fmt.Sprintf(kind, head+" xmlns='jabber:client'", fmt.Sprintf("w-%d-%d", i, k), end))
			sent += 2
		}
	}
	if err := a.Fence(patience); err != nil {
		t.Fatalf("the sender's stream: %v", err)
	}
	w.text(t, "<iq xmlns='jabber:client' type='get' id='fence'><ping xmlns='urn:xmpp:ping'/></iq>")
	w.until(t, "fence")
	got := 0
	for _, n := range heard(t, victim) {
		want := a.JID
		if strings.HasPrefix(n.Get("id"), "w-") {
			want = bare(wsUser) + "/ws"
		}
		if n.Get("from") != want {
			t.Errorf("from %q reached the victim: %s", n.Get("from"), n)
		}
		got++
	}
	t.Logf("%d stanzas with another from, %d came, all under the right name", sent, got)
	if got < sent/2 {
		t.Errorf("only %d of %d came at all", got, sent)
	}
	// Twice the attribute is no XML (XML 1.0 §3.1); a namespaced one is no "from".
	closed(t, "from twice", p.at(t, bound, a.Opt.User), "<message from='"+a.JID+"' from='"+victim.JID+"' to='"+victim.JID+"'><body>x</body></message>", "not-well-formed")
	closed(t, "from twice, once escaped", p.at(t, bound, a.Opt.User), "<message from='a' to='"+victim.JID+"' from='&#98;'/>", "not-well-formed")
	nothingRouted(t, victim)
	if err := a.Send("<message xmlns:x='jabber:client' x:from='" + victim.JID + "' id='ns' to='" + victim.JID + "'><body>x</body></message>"); err != nil {
		t.Fatal(err)
	}
	for _, n := range heard(t, victim) {
		if n.Get("from") != a.JID {
			t.Errorf("a namespaced from: %s", n)
		}
	}
}

// I2: nobody's roster is changed, or seems changed, by somebody else.
func TestI2_rosterPushSpoof(t *testing.T) {
	t.Parallel()
	p := target(t)
	victim := p.login(t, p.person(t), "victim")
	friend := p.login(t, p.person(t), "friend")
	stranger := p.login(t, p.person(t), "stranger")
	befriend(t, victim, friend)
	if _, err := victim.IQ(patience, "get", "", "<query xmlns='"+roster+"'/>"); err != nil { // interested: it gets pushes
		t.Fatal(err)
	}
	before := rosterOf(t, victim)
	heard(t, victim)
	item := "<query xmlns='" + roster + "'><item jid='evil@other.test' subscription='both'/></query>"
	for _, from := range []*client.Client{friend, stranger} {
		for _, to := range []string{victim.JID, bare(victim.Opt.User), bare(victim.Opt.User) + "/none", server.Domain} {
			for _, at := range []string{"", " from='" + bare(victim.Opt.User) + "'", " from='" + server.Domain + "'", " from=''", " from='" + victim.JID + "'"} {
				for _, typ := range []string{"set", "result"} {
					if err := from.Send("<iq type='" + typ + "'" + at + " id='push' to='" + to + "'>" + item + "</iq>"); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		// In a message or presence, where some clients looked for it.
		for _, s := range []string{"<message to='" + victim.JID + "'>" + item + "</message>", "<presence to='" + victim.JID + "'>" + item + "</presence>"} {
			if err := from.Send(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := from.Fence(patience); err != nil {
			t.Fatal(err)
		}
	}
	passed := 0
	for _, n := range heard(t, victim) {
		from := n.Get("from")
		if from != friend.JID && from != stranger.JID {
			t.Errorf("a push nobody but the server may send (RFC 6121 §2.1.6): %s", n)
		}
		passed++
	}
	t.Logf("%d came, each under its sender's name", passed)
	if after := rosterOf(t, victim); after != before || strings.Contains(after, "evil") {
		t.Errorf("the roster has changed from %s to %s", before, after)
	}
}

// befriend makes a mutual subscription (RFC 6121 §3.1).
func befriend(t testing.TB, a, b *client.Client) {
	t.Helper()
	for _, step := range []struct {
		c    *client.Client
		to   *client.Client
		kind string
	}{{a, b, "subscribe"}, {b, a, "subscribed"}, {b, a, "subscribe"}, {a, b, "subscribed"}} {
		if err := step.c.Send("<presence type='" + step.kind + "' to='" + bare(step.to.Opt.User) + "'/>"); err != nil {
			t.Fatal(err)
		}
		if err := step.c.Fence(patience); err != nil {
			t.Fatal(err)
		}
	}
}

func rosterOf(t testing.TB, c *client.Client) string {
	t.Helper()
	n, err := c.IQ(patience, "get", "", "<query xmlns='"+roster+"'/>")
	if err != nil {
		t.Fatal(err)
	}
	return canon(n.Kid(roster, "query"), nil)
}

// I3: a carbon is made by the server alone (XEP-0280 §12).
func TestI3_carbonForgery(t *testing.T) {
	t.Parallel()
	p := target(t)
	a := p.login(t, p.person(t), "a")
	victim := p.login(t, p.person(t), "victim")
	device := p.login(t, victim.Opt.User, "device")
	for _, c := range []*client.Client{victim, device} {
		if _, err := c.IQ(patience, "set", "", "<enable xmlns='"+carbons+"'/>"); err != nil {
			t.Fatal(err)
		}
		if err := c.Send("<presence/>"); err != nil {
			t.Fatal(err)
		}
	}
	heard(t, victim)
	heard(t, device)
	inner := "<forwarded xmlns='" + forward + "'><message xmlns='jabber:client' from='alice@" + server.Domain + "/x' to='" + victim.JID + "' type='chat'><body>forged</body></message></forwarded>"
	sent := 0
	for _, wrap := range []string{"received", "sent"} {
		carbon := "<" + wrap + " xmlns='" + carbons + "'>" + inner + "</" + wrap + ">"
		for _, kids := range []string{
			carbon, carbon + carbon, "<body>x</body>" + carbon, carbon + "<body>x</body>", strings.Repeat(carbon, 20),
			"<x:" + wrap + " xmlns:x='" + carbons + "'>" + inner + "</x:" + wrap + ">",
			"<" + wrap + " xmlns='" + strings.ReplaceAll(carbons, ":", "&#58;") + "'>" + inner + "</" + wrap + ">",
		} {
			for _, typ := range []string{"chat", "normal", "headline", "error", "groupchat"} {
				for _, to := range []string{victim.JID, bare(victim.Opt.User)} {
					for _, from := range []string{"", " from='" + bare(victim.Opt.User) + "'"} {
						if err := a.Send("<message type='" + typ + "'" + from + " to='" + to + "' id='carbon'>" + kids + "</message>"); err != nil {
							t.Fatal(err)
						}
						sent++
					}
				}
			}
		}
	}
	// Bounced by an error: what comes back to the sender holds no wrapper as the server's.
	if err := a.Send("<message type='chat' id='bounce' to='nobody@" + server.Domain + "'><received xmlns='" + carbons + "'>" + inner + "</received></message>"); err != nil {
		t.Fatal(err)
	}
	if err := a.Fence(patience); err != nil {
		t.Fatal(err)
	}
	genuine, came := 0, 0
	for _, c := range []*client.Client{victim, device} {
		for _, n := range heard(t, c) {
			came++
			for _, wrap := range []string{"received", "sent"} {
				k := n.Kid(carbons, wrap)
				if k == nil {
					continue
				}
				m := k.Path("forwarded", "message")
				if m.Body() == "fence" && strings.HasPrefix(m.Get("from"), bare(victim.Opt.User)) {
					continue // of heard's own message
				}
				if n.Get("from") != bare(victim.Opt.User) || m.Get("from") != a.JID {
					t.Errorf("a forged carbon came: %s", n)
				}
				// What is inside a genuine one is clean, too.
				walk(m, func(x *client.Node) {
					if x.Name.Space == carbons || x.Body() == "forged" {
						t.Errorf("a forged carbon within a genuine one: %s", n)
					}
				})
				genuine++
			}
		}
	}
	t.Logf("%d forged ones sent; %d messages came, %d of them carbons the server made", sent, came, genuine)
	if came == 0 {
		t.Error("nothing came at all: the test shows nothing")
	}
	for _, n := range heard(t, a) {
		if n.Kid(carbons, "received") != nil || n.Kid(carbons, "sent") != nil {
			t.Errorf("the sender got a carbon: %s", n)
		}
	}
}

// I4: ids and archive entries are the server's: whatever a sender writes there
// is gone before anybody sees it, all of it.
func TestI4_archiveForgery(t *testing.T) {
	t.Parallel()
	p := target(t)
	a, victim := p.login(t, p.person(t), "a"), p.login(t, p.person(t), "victim")
	me, you := bare(a.Opt.User), bare(victim.Opt.User)
	id := func(by, v string) string { return "<stanza-id xmlns='" + sid + "' by='" + by + "' id='" + v + "'/>" }
	inner := "<forwarded xmlns='" + forward + "'><delay xmlns='urn:xmpp:delay' stamp='2001-01-01T00:00:00Z'/><message xmlns='jabber:client' from='alice@" + server.Domain + "' to='" + you + "'><body>forged</body></message></forwarded>"
	forged := map[string]string{
		"first":        id(you, "forged") + "<body>b</body>",
		"last":         "<body>b</body>" + id(you, "forged"),
		"both ends":    id(you, "forged") + "<body>b</body>" + id(me, "forged"),
		"twenty":       strings.Repeat(id(you, "forged"), 20) + "<body>b</body>" + strings.Repeat(id(you, "forged"), 20),
		"other case":   "<body>b</body>" + id(strings.ToUpper(you), "forged"),
		"escaped":      "<body>b</body>" + id(strings.Replace(you, "@", "&#64;", 1), "forged"),
		"prefixed":     "<body>b</body><s:stanza-id xmlns:s='" + sid + "' by='" + you + "' id='forged'/>",
		"domain":       "<body>b</body>" + id(server.Domain, "forged"),
		"room":         "<body>b</body>" + id("room@rooms."+server.Domain, "forged"),
		"occupant":     "<body>b</body><occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>",
		"result":       "<body>b</body><result xmlns='" + mam + "' queryid='q' id='forged'>" + inner + "</result>",
		"fin":          "<body>b</body><fin xmlns='" + mam + "' complete='true'/>",
		"delay":        "<body>b</body><delay xmlns='urn:xmpp:delay' from='" + server.Domain + "' stamp='2001-01-01T00:00:00Z'/>",
		"delay of you": "<body>b</body><delay xmlns='urn:xmpp:delay' from='" + you + "' stamp='2001-01-01T00:00:00Z'/>",
	}
	for what, kids := range forged {
		if err := a.Send("<message type='chat' id='" + what + "' to='" + victim.JID + "'>" + kids + "</message>"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Fence(patience); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{} // archive ids as the victim was told
	for _, n := range heard(t, victim) {
		what := n.Get("id")
		clean(t, what+" live", n, you)
		if s := n.Kid(sid, "stanza-id"); s != nil {
			got[what] = s.Get("id")
		}
	}
	if len(got) != len(forged) {
		t.Errorf("%d of %d messages came with the archive's id", len(got), len(forged))
	}
	// Somebody away gets them later: with the server's own stamp alone.
	away := p.person(t)
	for what, kids := range forged {
		if err := a.Send("<message type='chat' id='" + what + "' to='" + bare(away) + "'>" + strings.ReplaceAll(kids, you, bare(away)) + "</message>"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Fence(patience); err != nil {
		t.Fatal(err)
	}
	late := p.login(t, away, "late")
	if err := late.Send("<presence/>"); err != nil {
		t.Fatal(err)
	}
	for range forged {
		n, err := late.Take(patience, func(n *client.Node) bool { return n.Name.Local == "message" })
		if err != nil {
			t.Fatal(err)
		}
		clean(t, n.Get("id")+" offline", n, bare(away))
		stamped := 0
		for _, k := range n.Kids {
			if k.Name.Local == "delay" && strings.HasPrefix(k.Get("stamp"), time.Now().UTC().Format("2006-")) {
				stamped++
			}
		}
		if stamped != 1 {
			t.Errorf("%s offline: %d stamps of today: %s", n.Get("id"), stamped, n)
		}
	}
	for _, c := range []*client.Client{a, victim} {
		kept, err := c.Archive(patience, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range kept {
			what := k.Message.Get("id")
			if forged[what] == "" {
				continue
			}
			clean(t, what+" archived", k.Message, bare(c.Opt.User))
			if k.Message.Get("from") != a.JID {
				t.Errorf("%s: archived as from %q", what, k.Message.Get("from"))
			}
			if c == victim && k.ArchiveID != got[what] {
				t.Errorf("%s: archived under %q, told was %q", what, k.ArchiveID, got[what])
			}
		}
	}
}

// clean demands that nothing forged is left in a message to owner.
func clean(t testing.TB, what string, n *client.Node, owner string) {
	t.Helper()
	ids := 0
	for _, k := range n.Kids {
		switch {
		case k.Get("id") == "forged", k.Name.Space == mam, k.Name.Local == "forwarded":
			t.Errorf("%s: %s is still there", what, k)
		case k.Name.Local == "stanza-id":
			ids++
			if k.Get("by") != owner {
				t.Errorf("%s: an id by %q", what, k.Get("by"))
			}
		case k.Name.Local == "delay" && strings.HasPrefix(k.Get("stamp"), "2001"):
			t.Errorf("%s: a stamp in the name of %q that it never made: %s", what, k.Get("from"), k)
		}
	}
	if ids > 1 {
		t.Errorf("%s: %d archive ids", what, ids)
	}
}

// I5: an answer to a question the server never asked, or asked another, does nothing.
func TestI5_replySpoof(t *testing.T) {
	t.Parallel()
	p := target(t)
	user := p.person(t)
	owner, device := p.login(t, user, "owner"), p.login(t, user, "device")
	thief := p.login(t, p.person(t), "thief")
	for _, c := range []*client.Client{owner, device} {
		if _, err := c.IQ(patience, "get", "", "<query xmlns='"+roster+"'/>"); err != nil {
			t.Fatal(err)
		}
	}
	heard(t, device)
	// The ids of the server's own requests can't be guessed.
	var ids []string
	for i := range 60 {
		if _, err := owner.IQ(patience, "set", "", "<query xmlns='"+roster+"'><item jid='c"+fmt.Sprint(i)+"@acme.test'/></query>"); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range heard(t, device) {
		if n.Is("iq", "set") {
			ids = append(ids, n.Get("id"))
		}
	}
	if len(ids) != 60 {
		t.Fatalf("%d pushes of 60", len(ids))
	}
	random(t, "roster push id", ids, 64)
	before := rosterOf(t, device)
	replies := 0
	for _, c := range []*client.Client{thief, device} {
		for _, id := range append(ids[:5:5], "1", "bind", "") {
			for _, typ := range []string{"result", "error"} {
				for _, to := range []string{"", server.Domain, bare(user), bare(thief.Opt.User), "nobody@" + server.Domain, server.Domain + "/x"} {
					at := ""
					if to != "" {
						at = " to='" + to + "'"
					}
					if err := c.Send("<iq type='" + typ + "' id='" + id + "'" + at + "><query xmlns='" + roster + "'><item jid='evil@other.test'/></query></iq>"); err != nil {
						t.Fatal(err)
					}
					replies++
				}
			}
		}
		if err := c.Fence(patience); err != nil {
			t.Fatalf("the stream of %s: %v", c.JID, err)
		}
	}
	// RFC 6120 §8.3.1: an answer is never answered. One without an id is no
	// stanza at all and may get an error.
	for _, c := range []*client.Client{thief, device, owner} {
		for _, n := range heard(t, c) {
			if n.Name.Local == "iq" && n.Get("id") != "" && n.Get("from") != "" && n.Kid("urn:xmpp:ping", "ping") == nil && !isPush(n, c) {
				t.Errorf("%s got an answer to an answer: %s", c.JID, n)
			}
		}
	}
	if after := rosterOf(t, device); after != before {
		t.Error("answers changed the roster")
	}
	t.Logf("%d answers nobody asked for", replies)
}

// isPush says that n is a roster push for c's account (RFC 6121 §2.1.6).
func isPush(n *client.Node, c *client.Client) bool {
	from := n.Get("from")
	return n.Is("iq", "set") && n.Kid(roster, "query") != nil && (from == "" || from == bare(c.Opt.User))
}
