package attack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
)

// I9: paging reaches every entry, whatever is asked for in between, and junk is refused in order.
func TestI9_paging(t *testing.T) {
	t.Parallel()
	p := target(t)
	a, b, c := p.login(t, p.person(t), "a"), p.login(t, p.person(t), "b"), p.login(t, p.person(t), "c")
	const count = 120
	for i := range count {
		to := b // long runs of what a filter leaves out
		if i%40 == 39 {
			to = c
		}
		if err := a.Send("<message type='chat' id='" + fmt.Sprint("p", i) + "' to='" + to.JID + "'><body>" + fmt.Sprint(i) + "</body></message>"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Fence(patience); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 7, 250} {
		all, err := a.Archive(patience, size)
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range all {
			if k.Message.Body() != fmt.Sprint(i) {
				t.Fatalf("pages of %d: entry %d is %s", size, i, k.Message)
			}
		}
		if len(all) != count {
			t.Errorf("pages of %d: %d entries of %d", size, len(all), count)
		}
	}
	// A filter that leaves out whole pages does not end the paging.
	filtered := p.filtered(t, a, bare(c.Opt.User), 2)
	if fmt.Sprint(filtered) != "[39 79 119]" {
		t.Errorf("with a filter: %v", filtered)
	}
	// Nor backwards, where the newest pages are left out.
	n, err := a.IQ(patience, "set", "", "<query xmlns='"+mam+"'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>"+mam+"</value></field><field var='with'><value>"+bare(c.Opt.User)+
		"</value></field></x><set xmlns='http://jabber.org/protocol/rsm'><max>2</max><before/></set></query>")
	if err != nil || n.Kid(mam, "fin").Path("set", "first") == nil {
		t.Fatalf("backwards: %v %v", n, err)
	}
	var back []string
	for _, m := range a.Drain() {
		back = append(back, m.Path("result", "forwarded", "message").Body())
	}
	if fmt.Sprint(back) != "[79 119]" {
		t.Errorf("backwards with a filter: %v", back)
	}
	// Blocking somebody hides nothing of what was.
	if n, err := a.IQ(patience, "set", "", "<block xmlns='urn:xmpp:blocking'><item jid='"+bare(b.Opt.User)+"'/></block>"); err != nil || n.Get("type") != "result" {
		t.Fatalf("block: %v %v", n, err)
	}
	if all, err := a.Archive(patience, 10); err != nil || len(all) != count {
		t.Errorf("after blocking: %d entries of %d, %v", len(all), count, err)
	}
	p.junk(t, a)
	if all, err := a.Archive(patience, 50); err != nil || len(all) != count {
		t.Errorf("after all that: %d entries of %d, %v", len(all), count, err)
	}
}

// filtered pages through what was exchanged with somebody.
func (p *place) filtered(t *testing.T, c *client.Client, with string, size int) (bodies []string) {
	t.Helper()
	after := ""
	for range 50 {
		fin, err := c.IQ(patience, "set", "", "<query xmlns='"+mam+"'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>"+mam+"</value></field><field var='with'><value>"+with+
			"</value></field></x><set xmlns='http://jabber.org/protocol/rsm'><max>"+fmt.Sprint(size)+"</max>"+after+"</set></query>")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range c.Drain() {
			if m := n.Path("result", "forwarded", "message"); m != nil {
				bodies = append(bodies, m.Body())
			}
		}
		f := fin.Kid(mam, "fin")
		if f.Get("complete") == "true" {
			return bodies
		}
		last := f.Path("set", "last")
		if last == nil {
			t.Fatalf("a page without an end that is not the last: %s", fin)
		}
		after = "<after>" + client.Escape(last.Text) + "</after>"
	}
	t.Fatal("paging does not come to an end")
	return nil
}

// junk asks for what can't be; every question is answered, none by trouble of the server's own.
func (p *place) junk(t *testing.T, c *client.Client) {
	t.Helper()
	values := []string{"-1", "0", "", " ", "18446744073709551616", "9223372036854775808", "-9223372036854775809", "1e9", "0x10", "NaN", "' OR 1=1 --", "'; DROP TABLE record; --",
		"%", "_", "*", "\\", "$1", "?1", "é", "\U0001F600", strings.Repeat("9", 5000), "1,2", "null", "2026-01-01T00:00:00Z"}
	answers := map[string]int{}
	for _, v := range values {
		e := client.Escape(v)
		for _, rsm := range []string{"<max>" + e + "</max>", "<after>" + e + "</after>", "<before>" + e + "</before>", "<max>3</max><after>" + e + "</after>", "<index>" + e + "</index>"} {
			answers[p.asked(t, c, "<set xmlns='http://jabber.org/protocol/rsm'>"+rsm+"</set>")]++
		}
		for _, field := range []string{"with", "start", "end", "before-id", "after-id", "ids", "unknown", "FORM_TYPE", e} {
			answers[p.asked(t, c, "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>"+mam+"</value></field><field var='"+field+"'><value>"+e+"</value></field></x>"+
				"<set xmlns='http://jabber.org/protocol/rsm'><max>2</max></set>")]++
		}
	}
	t.Logf("answers to junk: %v", answers)
	for _, bad := range []string{"internal-server-error", ""} {
		if answers[bad] > 0 {
			t.Errorf("%d questions were answered by %q", answers[bad], bad)
		}
	}
}

// asked returns "result" or the condition of the error.
func (p *place) asked(t *testing.T, c *client.Client, payload string) string {
	t.Helper()
	n, err := c.IQ(patience, "set", "", "<query xmlns='"+mam+"'>"+payload+"</query>")
	if err != nil {
		t.Fatalf("%.300s: %v", payload, err)
	}
	c.Drain()
	if n.Get("type") == "result" {
		return "result"
	}
	if n.Condition() == "internal-server-error" {
		t.Errorf("%.300s: %s", payload, n)
	}
	return n.Condition()
}
