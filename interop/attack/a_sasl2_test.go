package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

const inlineAgent = "<user-agent xmlns='urn:xmpp:sasl:2' id='00000000-0000-4000-8000-00000000000a'/>"

// auth2 logs in over SASL2 by PLAIN and says what came of what was asked for with it, and how
// long it took.
func (p *place) auth2(t *testing.T, user, inner string) (answer *client.Node, took time.Duration) {
	t.Helper()
	c := p.at(t, secured, "")
	began := time.Now()
	n, err := c.Auth2("PLAIN", user, server.Password, inner)
	if err != nil || n.Name.Local != "success" {
		t.Fatalf("login of %s: %v %v", user, n, err)
	}
	return n, time.Since(began)
}

// resumed says what a login says of the session it wanted to take up.
func resumed(n *client.Node) (how string) {
	walk(n, func(k *client.Node) {
		switch {
		case k.Name.Local == "resumed":
			how = "resumed"
		case k.Name.Local == "failed" && len(k.Kids) > 0:
			how = k.Kids[0].Name.Local
		}
	})
	return how
}

// A11 with SASL2 (XEP-0388 §2.6.3, XEP-0198 §9): taking a session up within the login needs its
// own account as well, and another's id takes as long to refuse as one nobody has.
func TestA11_resumeHijackInTheLogin(t *testing.T) {
	t.Parallel()
	p := target(t)
	owner, thief := p.person(t), p.person(t)
	live := p.login(t, owner, "live", func(o *client.Options) { o.SM = true })
	agent := ""
	try := func(user, id string) (string, time.Duration) {
		h, _, _ := live.Counters()
		n, took := p.auth2(t, user, agent+fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", client.Escape(id), h))
		return resumed(n), took
	}
	best := map[string]time.Duration{}
	for i := range scaled(6, 200) {
		for what, id := range map[string]string{"another's": live.SMID, "nobody's": client.Token(), "cut short": live.SMID[:len(live.SMID)-1]} {
			how, took := try(thief, id)
			if how != "item-not-found" {
				t.Fatalf("%s id, try %d: %q", what, i, how)
			}
			if old, here := best[what]; !here || took < old {
				best[what] = took
			}
		}
	}
	for what, took := range best {
		if d := (took - best["nobody's"]).Abs(); d > max(best["nobody's"]/2, 4*time.Millisecond) {
			t.Errorf("%s id takes %v, one that nobody has %v", what, took, best["nobody's"])
		}
	}
	t.Logf("refused after %v", best)
	if err := live.Fence(patience); err != nil {
		t.Fatalf("the owner's session after that: %v", err)
	}
	// HARDENING A11: it is bound to the device as well.
	agent = inlineAgent
	if how, _ := try(owner, live.SMID); how != "item-not-found" {
		t.Fatalf("by another device of the owner's: %q", how)
	}
	agent = ""
	if how, _ := try(owner, live.SMID); how != "resumed" {
		t.Fatalf("the owner's own: %q", how)
	}
	if err := p.user("another password\n", "passwd", owner, stdinFlag); err != nil {
		t.Fatal(err)
	}
	c := p.at(t, secured, "")
	n, err := c.Auth2("PLAIN", owner, "another password", "<resume xmlns='urn:xmpp:sm:3' previd='"+live.SMID+"' h='0'/>")
	if err != nil || resumed(n) != "item-not-found" {
		t.Errorf("after a new password: %v %v", n, err)
	}
}

// A15 with Bind 2 (XEP-0386): the twenty-first device is refused at once, and the others stay.
func TestA15_sessionsOfBind2(t *testing.T) {
	t.Parallel()
	p := target(t)
	user := p.person(t)
	const most = 20
	var conns []*client.Conn
	for i := range most + 1 {
		c := p.at(t, secured, "")
		c.Unlimited()
		began := time.Now()
		n, err := c.Auth2("PLAIN", user, server.Password, fmt.Sprintf("<user-agent xmlns='urn:xmpp:sasl:2' id='00000000-0000-4000-8000-%012d'/>", i)+"<bind xmlns='urn:xmpp:bind:0'><tag>t</tag></bind>")
		text := fmt.Sprint(n, err)
		refused := !strings.Contains(text, "urn:xmpp:bind:0")
		if refused != (i == most) {
			t.Fatalf("device %d: %s", i+1, text)
		}
		if took := time.Since(began); refused && took > closedWithin {
			t.Errorf("refused after %v", took)
		} else if refused {
			t.Logf("refused after %v: %.300s", took, text)
		}
		conns = append(conns, c)
	}
	for i, c := range conns[:most] {
		if err := c.Send("<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>"); err != nil {
			t.Fatal(err)
		}
		for n := (*client.Node)(nil); n.Get("id") != "x"; {
			var err error
			if n, err = c.Next(); err != nil {
				t.Fatalf("device %d after that: %v", i+1, err)
			}
		}
	}
}
