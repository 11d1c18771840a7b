package attack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// I6, as far as the server goes: a message about another message (correction,
// retraction, reaction, reply) changes nothing that was there, whoever sends it.
// What a client makes of it is tested in web/src/im.
func TestI6_messagesOfSomebodyElse(t *testing.T) {
	t.Parallel()
	p := target(t)
	a, b, thief := p.login(t, p.person(t), "a"), p.login(t, p.person(t), "b"), p.login(t, p.person(t), "thief")
	if err := a.Send("<message type='chat' id='orig' to='" + b.JID + "'><body>original</body><origin-id xmlns='" + sid + "' id='orig'/></message>"); err != nil {
		t.Fatal(err)
	}
	got, err := b.Take(patience, func(n *client.Node) bool { return n.Get("id") == "orig" })
	if err != nil {
		t.Fatal(err)
	}
	id := got.Kid(sid, "stanza-id").Get("id")
	before := archived(t, a) + archived(t, b)
	sent := 0
	for _, ref := range []string{"orig", id} {
		for what, about := range abouts(ref) {
			for _, to := range []string{b.JID, bare(b.Opt.User), a.JID, bare(a.Opt.User), server.Domain} {
				for _, from := range []string{"", " from='" + a.JID + "'"} {
					// The same id as the original, too: none is anybody's own.
					if err := thief.Send("<message type='chat' id='orig' to='" + to + "'" + from + ">" + about + "<body>forged " + what + "</body><origin-id xmlns='" + sid + "' id='orig'/></message>"); err != nil {
						t.Fatal(err)
					}
					sent++
				}
			}
		}
	}
	if err := thief.Fence(patience); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client.Client{a, b} {
		for _, n := range heard(t, c) {
			if n.Body() != "fence" && n.Get("from") != thief.JID {
				t.Errorf("under another name: %s", n)
			}
		}
	}
	// Both archives: the original as it was, in its place; what came later is there, too, as the thief's.
	if after := originals(t, a) + originals(t, b); after != before {
		t.Errorf("the original was %q, is %q", before, after)
	}
	for _, c := range []*client.Client{a, b} {
		theirs := 0
		kept, err := c.Archive(patience, 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range kept {
			if strings.HasPrefix(k.Message.Body(), "forged") {
				theirs++
				if k.Message.Get("from") != thief.JID {
					t.Errorf("archived under another name: %s", k.Message)
				}
			}
		}
		if theirs == 0 {
			t.Errorf("%s has none of the messages about it", c.JID)
		}
	}
	t.Logf("%d messages about another's message: 0 applied", sent)
}

// abouts are the ways to speak about the message with an id.
func abouts(id string) map[string]string {
	return map[string]string{
		"correction":   "<replace xmlns='urn:xmpp:message-correct:0' id='" + id + "'/>",                                                          // XEP-0308
		"retraction":   "<retract xmlns='urn:xmpp:message-retract:1' id='" + id + "'/><store xmlns='urn:xmpp:hints'/>",                           // XEP-0424
		"old":          "<apply-to xmlns='urn:xmpp:fasten:0' id='" + id + "'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",           // XEP-0422
		"moderation":   "<retract xmlns='urn:xmpp:message-retract:1' id='" + id + "'><moderated xmlns='urn:xmpp:message-moderate:1'/></retract>", // XEP-0425
		"reaction":     "<reactions xmlns='urn:xmpp:reactions:0' id='" + id + "'><reaction>x</reaction></reactions>",                             // XEP-0444
		"reply":        "<reply xmlns='urn:xmpp:reply:0' to='x@acme.test' id='" + id + "'/>",                                                     // XEP-0461
		"marker":       "<displayed xmlns='urn:xmpp:chat-markers:0' id='" + id + "'/>",                                                           // XEP-0333
		"fake archive": "<result xmlns='" + mam + "' id='" + id + "'/>",
	}
}

// archived is c's archive in one form.
func archived(t testing.TB, c *client.Client) string {
	t.Helper()
	return archiveOf(t, c, func(*client.Node) bool { return true })
}

// originals is the part of it that is not of the test's later messages.
func originals(t testing.TB, c *client.Client) string {
	t.Helper()
	return archiveOf(t, c, func(n *client.Node) bool {
		return !strings.HasPrefix(n.Body(), "forged") && n.Body() != "fence"
	})
}

func archiveOf(t testing.TB, c *client.Client, keep func(*client.Node) bool) string {
	t.Helper()
	kept, err := c.Archive(patience, 50)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, k := range kept {
		if keep(k.Message) {
			fmt.Fprintf(&all, "%s %s\n", k.ArchiveID, canon(k.Message, nil))
		}
	}
	return all.String()
}

// I7, as far as there is an archive: who corrects or retracts a message of
// their own erases nothing; both are in both archives, in order.
func TestI7_retractionKeepsEvidence(t *testing.T) {
	t.Parallel()
	p := target(t)
	a, b := p.login(t, p.person(t), "a"), p.login(t, p.person(t), "b")
	var want []string
	for i := range 8 {
		id := fmt.Sprint("m", i)
		if err := a.Send("<message type='chat' id='" + id + "' to='" + bare(b.Opt.User) + "'><body>evidence " + id + "</body><origin-id xmlns='" + sid + "' id='" + id + "'/></message>"); err != nil {
			t.Fatal(err)
		}
		want = append(want, id)
	}
	i := 0
	for what, about := range abouts("m0") {
		if what == "fake archive" {
			continue
		}
		about = strings.ReplaceAll(about, "'m0'", fmt.Sprintf("'m%d'", i))
		id := "about-" + what
		if err := a.Send("<message type='chat' id='" + id + "' to='" + bare(b.Opt.User) + "'>" + about + "<body>later</body></message>"); err != nil {
			t.Fatal(err)
		}
		want = append(want, id)
		i++
	}
	// Hints move a message out of sight of nobody who has it already (XEP-0334).
	if err := a.Send("<message type='chat' id='about-hint' to='" + bare(b.Opt.User) + "'><retract xmlns='urn:xmpp:message-retract:1' id='m7'/><body>later</body></message>"); err != nil {
		t.Fatal(err)
	}
	want = append(want, "about-hint")
	if err := a.Fence(patience); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client.Client{a, b} {
		kept, err := c.Archive(patience, 5)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, k := range kept {
			ids = append(ids, k.Message.Get("id"))
			if n := k.Message.Get("id"); len(n) == 2 && k.Message.Body() != "evidence "+n {
				t.Errorf("%s: %s has become %q", c.JID, n, k.Message.Body())
			}
		}
		if fmt.Sprint(ids) != fmt.Sprint(want) {
			t.Errorf("%s: the archive has %v, want %v", c.JID, ids, want)
		}
	}
}

// I8: announcements are relayed as they were, whoever is asked about a client is
// that client, and what a hash stands for is believed only of an answer that
// hashes to it (XEP-0115 §5.4).
func TestI8_capsPoisoning(t *testing.T) {
	t.Parallel()
	p := target(t)
	a, b := p.login(t, p.person(t), "a"), p.login(t, p.person(t), "b")
	befriend(t, a, b)
	if err := b.Send("<presence/>"); err != nil {
		t.Fatal(err)
	}
	heard(t, b)
	announced := []string{
		"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://x.test' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>", // XEP-0115 §5.2's, which is not ours
		"<c xmlns='http://jabber.org/protocol/caps' node='https://x.test' ver='1.0' ext='share voice'/>",                     // the legacy form (§10)
		"<c xmlns='http://jabber.org/protocol/caps' hash='none' node='" + strings.Repeat("n", 3000) + "' ver=''/>",
	}
	asked := 0
	for _, c := range announced {
		// A cache of the server would take these for what the hash stands for.
		if err := a.Send("<presence><status>s</status>" + c + "</presence>"); err != nil {
			t.Fatal(err)
		}
		if err := a.Send("<iq type='result' id='disco1' to='" + server.Domain + "'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='poison'/></query></iq>"); err != nil {
			t.Fatal(err)
		}
		n, err := b.Take(patience, func(n *client.Node) bool {
			return n.Name.Local == "presence" && n.Get("from") == a.JID && n.Kid("http://jabber.org/protocol/caps", "c") != nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want, err := client.ParseNode("<presence>" + c + "</presence>")
		if err != nil {
			t.Fatal(err)
		}
		if got := canon(n, func(k *client.Node) bool { return k.Name.Local == "c" }); got != canon(want, nil) {
			t.Errorf("announced %s, relayed %s", canon(want, nil), got)
		}
	}
	for _, n := range heard(t, a) {
		if n.Is("iq", "get") && n.Kid(discoInfo, "query") != nil {
			asked++
			if n.Get("from") != bare(a.Opt.User) {
				t.Errorf("asked in somebody else's name: %s", n)
			}
		}
	}
	p.poison(t, a)
	// What others ask about a goes to a; the server answers for nobody's client.
	id := client.Token()
	if err := b.Send("<iq type='get' id='" + id + "' to='" + a.JID + "'><query xmlns='http://jabber.org/protocol/disco#info' node='https://x.test#1.0'/></iq>"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Take(patience, func(n *client.Node) bool { return n.Get("id") == id && n.Get("from") == b.JID }); err != nil {
		t.Errorf("a question about a's capabilities did not reach a: %v", err)
	}
	t.Logf("%d false announcements, %d questions of the server", len(announced), asked)
}

// poison answers for a hash with what it does not stand for: nobody else's client
// is taken for that.
func (p *place) poison(t *testing.T, a *client.Client) {
	t.Helper()
	const node, bait = "urn:m5:i8", "urn:m5:bait"
	caps := capsOf(node)
	if err := a.Send("<presence>" + caps + "</presence>"); err != nil {
		t.Fatal(err)
	}
	q, err := a.Take(patience, func(n *client.Node) bool { return n.Is("iq", "get") && n.Kid(discoInfo, "query") != nil })
	if err != nil {
		t.Fatalf("nobody asked what the hash stands for: %v", err)
	}
	if err := a.Send("<iq type='result' id='" + q.Get("id") + "'>" + infoOf(bait) + "</iq>"); err != nil {
		t.Fatal(err)
	}
	if err := a.Fence(patience); err != nil {
		t.Fatal(err)
	}
	victim := p.keen(t, p.person(t), "v", node)
	for _, n := range []string{node, bait} {
		publishes(t, victim.Client, n, "1")
	}
	if got := victim.heard(t); len(got) != 1 || got[0] != node+" 1" {
		t.Errorf("poisoned: the victim hears of %q", got)
	}
}
