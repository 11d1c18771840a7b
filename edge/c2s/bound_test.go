package c2s_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

const phone = "alice@acme.test/phone"

func TestBound_badElements(t *testing.T) {
	for _, c := range []struct{ name, s, condition string }{
		{"unknown", "<foo/>", "unsupported-stanza-type"},
		{"unknown in another namespace", "<foo xmlns='urn:x'/>", "unsupported-stanza-type"},
		{"stanza of servers", "<message xmlns='jabber:server'/>", "invalid-namespace"},
		{"prefixed stanza", "<c:message xmlns:c='jabber:client'/>", "bad-namespace-prefix"},
		{"login again", authPlain("bob", edgetest.Password), "policy-violation"},
		{"TLS again", starttls, "policy-violation"},
		{"header again", header, "restricted-xml"},
		{"mismatched tags", "<message></iq>", "not-well-formed"},
		{"unbound prefix", "<message><x:y/></message>", "bad-namespace-prefix"},
		{"comment", "<!-- hi -->", "restricted-xml"},
		{"comment inside", "<message><!-- hi --></message>", "restricted-xml"},
		{"instruction", "<message><?pi?></message>", "restricted-xml"},
		{"doctype", "<!DOCTYPE x>", "restricted-xml"},
		{"entity", "<message><body>&xxe;</body></message>", "not-well-formed restricted-xml"},
		{"late declaration", "<?xml version='1.0'?>", "restricted-xml not-well-formed"},
		{"bad UTF-8", "<message><body>\xff</body></message>", "not-well-formed"},
		{"NUL", "<message>\x00</message>", "not-well-formed"},
		{"text outside", "hello", "bad-format"},
		{"too deep", strings.Repeat("<message>", 51), "policy-violation"},
		{"too long", "<message><body>" + strings.Repeat("x", 256<<10) + "</body></message>", "policy-violation"},
		{"too wide", "<message>" + strings.Repeat("<a/>", 4096) + "</message>", "policy-violation"},
		{"ack before enable", "<a xmlns='urn:xmpp:sm:3' h='0'/>", "undefined-condition"},
		{"ack without h", "<a xmlns='urn:xmpp:sm:3'/>", "bad-format"},
		{"unknown of stream management", "<b xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"},
		{"unknown of client state", "<sleeping xmlns='urn:xmpp:csi:0'/>", "unsupported-stanza-type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := start(t)
			conn := b.bound()
			_ = conn.Send(c.s)
			n := next(t, conn)
			if n.Name.Local != "error" || !strings.Contains(c.condition, n.Condition()) || n.Condition() == "" {
				t.Fatalf("%v, want %s", n, c.condition)
			}
			if n.Path("text").Text == "" {
				t.Error("no text says what to do")
			}
			if !b.core.Await("end "+phone, patience) {
				t.Error("the session goes on")
			}
		})
	}
}

func TestBound_longestAndDeepestStanzasPass(t *testing.T) {
	b := start(t)
	c := b.bound()
	send(t, c, "<message to='"+phone+"'><body>"+strings.Repeat("x", 256<<10-100)+"</body></message>")
	if n := next(t, c); len(n.Body()) != 256<<10-100 {
		t.Fatal(len(n.Body()))
	}
	send(t, c, "<message to='"+phone+"'>"+strings.Repeat("<a>", 49)+strings.Repeat("</a>", 49)+"</message>")
	if n := next(t, c); n.Name.Local != "message" {
		t.Fatal(n)
	}
}

func TestBound_whiteSpaceIsKeepalive(t *testing.T) {
	b := start(t)
	c := b.bound()
	send(t, c, " \n\t ")
	send(t, c, "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq> ")
	if n := next(t, c); n.Get("id") != "p" {
		t.Fatal(n)
	}
}

func TestBind_errorsLeaveTheStreamOpen(t *testing.T) {
	b := start(t)
	c := b.authed()
	for _, iq := range []string{
		"<iq type='set' id='x'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + strings.Repeat("r", 1024) + "</resource></bind></iq>",
		"<iq type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
	} {
		send(t, c, iq)
		if n := next(t, c); n.Get("type") != "error" || n.Condition() != "bad-request" {
			t.Fatalf("%v, want bad-request (RFC 6120 §7.6.2)", n)
		}
	}
	b.core.BindErr = stanza.Fail("resource-constraint", "Too many.")
	send(t, c, bindIQ)
	if n := next(t, c); n.Condition() != "resource-constraint" || n.Get("id") != "b1" {
		t.Fatalf("%v", n)
	}
	b.core.BindErr = nil
	if _, err := c.Bind("Ｐhone"); err != nil { // resourceprep keeps case, OpaqueString keeps width
		t.Fatal(err)
	}
}

func TestBind_internalTroubleIsTold(t *testing.T) {
	b := start(t)
	b.core.BindErr = errors.New("the database said something secret")
	c := b.authed()
	send(t, c, bindIQ)
	n := next(t, c)
	if n.Condition() != "internal-server-error" || strings.Contains(n.String(), "secret") || !strings.Contains(n.String(), "Incident") {
		t.Fatalf("%v", n)
	}
}

func TestBind_sameResourceReplaces(t *testing.T) {
	b := start(t)
	old := b.bound()
	b.bound()
	closedWith(t, old, "conflict") // RFC 6120 §7.7.2.2
}

// HARDENING A12: the password changed between login and binding.
func TestBind_afterTheAccountWasTakenAway(t *testing.T) {
	began := time.Now()
	b := start(t, func(c *c2s.Config) {
		c.Revoked = func(who jid.JID, _ string, since time.Time) bool {
			return who.String() == "alice@acme.test" && since.After(began)
		}
	})
	c := b.authed()
	send(t, c, bindIQ)
	closedWith(t, c, "not-authorized")
	if !b.core.Await("end "+phone, patience) {
		t.Error("the session goes on")
	}
	if err := b.login("bob", "").Fence(patience); err != nil {
		t.Error(err)
	}
}

func TestOldSession_isANoOp(t *testing.T) {
	b := start(t)
	c := b.bound()
	send(t, c, "<iq type='set' id='s1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
	if n := next(t, c); n.Get("type") != "result" || n.Get("id") != "s1" {
		t.Fatal(n)
	}
	// RFC 3921 §3: it goes to the server; the core judges any other (HARDENING I10).
	send(t, c, "<iq type='set' id='s2' to='acme.test'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"+
		"<iq type='set' id='s3' to='bob@acme.test'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"+ // the core here leaves it
		"<iq type='get' id='s4'><ping xmlns='urn:xmpp:ping'/></iq>")
	for _, id := range []string{"s2", "s4"} {
		if n := next(t, c); n.Get("type") != "result" || n.Get("id") != id {
			t.Errorf("%s, want the answer to %s", n, id)
		}
	}
}

// RFC 6120 §4.4: what stands before the closing tag is handled and answered, and acknowledged behind its answer.
func TestClose_whatCameBeforeIsAnswered(t *testing.T) {
	b := start(t)
	for i := range 20 {
		c := b.bound()
		send(t, c, enableSM)
		next(t, c)
		id := strconv.Itoa(i)
		send(t, c, "<iq type='get' id='"+id+"'><ping xmlns='urn:xmpp:ping'/></iq><r xmlns='urn:xmpp:sm:3'/>"+
			"<iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq></stream:stream>")
		for _, want := range []string{"iq " + id, "a ", "iq last"} {
			n := next(t, c)
			for n.Name.Local == "r" {
				n = next(t, c)
			}
			if got := n.Name.Local + " " + n.Get("id"); got != want {
				t.Fatalf("round %d: got %q, want %q", i, got, want)
			}
		}
	}
}

func TestClose_bothWays(t *testing.T) {
	b := start(t)
	c := b.bound()
	send(t, c, message+"</stream:stream>")
	if _, err := c.Next(); err == nil || err.Error() != "EOF" {
		t.Errorf("%v, want the closing tag (RFC 6120 §4.4)", err)
	}
	if !b.core.Await("end "+phone, patience) || !b.core.Await("flush "+phone, patience) {
		t.Errorf("%v", b.core.Events())
	}
}

func TestClose_withoutAWordDetaches(t *testing.T) {
	b := start(t)
	c := b.bound()
	c.Close()
	if !b.core.Await("detach "+phone, patience) {
		t.Errorf("%v", b.core.Events())
	}
}

func TestKick_politely(t *testing.T) {
	b := start(t)
	c := b.bound()
	b.core.Session(phone).Kick(nil)
	if _, err := c.Next(); err == nil || err.Error() != "EOF" {
		t.Errorf("%v, want the closing tag alone", err)
	}
}

func TestShutdown_tellsEverybody(t *testing.T) {
	b := start(t)
	conns := []*client.Conn{b.bound(), b.authed(), b.secured(), b.opened()}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan struct{})
	go func() { b.srv.Shutdown(ctx); close(done) }()
	for _, c := range conns {
		closedWith(t, c, "system-shutdown")
	}
	<-done
	if !b.core.Await("end "+phone, patience) {
		t.Error("the session was not ended")
	}
}

func TestPanic_endsOneConnectionAlone(t *testing.T) {
	b := start(t)
	bob, c := b.login("bob", "desk"), b.bound()
	send(t, c, "<message to='bob@acme.test'><body>PANIC</body></message>")
	if !b.core.Await("detach "+phone, patience) {
		t.Fatal("the session goes on")
	}
	if err := bob.Fence(patience); err != nil {
		t.Error(err)
	}
}

func TestFlush_failureEndsTheStreamBeforeAnAck(t *testing.T) {
	b := start(t)
	b.core.Fail = func() error { return errors.New("disk gone") }
	c := b.bound()
	send(t, c, enableSM)
	next(t, c)
	send(t, c, message+"<r xmlns='urn:xmpp:sm:3'/>")
	if n := next(t, c); n.Condition() != "internal-server-error" {
		t.Fatalf("%v: nothing may be acknowledged that is not on disk", n)
	}
}

func TestManagement_ackCoversWhatCameBefore(t *testing.T) {
	b := start(t)
	c := b.bound()
	send(t, c, message+message+enableSM+strings.Repeat(message, 5)+"<presence/><r xmlns='urn:xmpp:sm:3'/>"+message+"<r xmlns='urn:xmpp:sm:3'/>")
	if n := next(t, c); n.Name.Local != "enabled" || n.Get("max") != "600" || len(n.Get("id")) < 22 || n.Get("resume") != "true" {
		t.Fatal(n)
	}
	for _, h := range []string{"6", "7"} {
		if n := next(t, c); n.Name.Local != "a" || n.Get("h") != h {
			t.Fatalf("%v, want h=%s: what came before <enable/> does not count (XEP-0198 §3)", n, h)
		}
	}
}

// XEP-0198 §3: the client's "max" is honoured, the server's is not exceeded, and
// what holds is announced.
func TestManagement_maxIsTheSmallerOfBoth(t *testing.T) {
	for _, c := range []struct {
		wish   string
		server time.Duration
		want   string // "" says that the session can't be resumed
	}{
		{" max='60'", 10 * time.Minute, "60"}, {" max='1'", 10 * time.Minute, "1"}, {" max=' 60 '", 10 * time.Minute, "60"},
		{" max='600'", 10 * time.Minute, "600"}, {" max='601'", 10 * time.Minute, "600"},
		{" max='18446744073709551615'", 10 * time.Minute, "600"}, {" max='18446744073709551616'", 10 * time.Minute, "600"},
		{" max='9999999999999999999999999'", 10 * time.Minute, "600"},
		{"", 10 * time.Minute, "600"}, {" max=''", 10 * time.Minute, "600"}, {" max='0'", 10 * time.Minute, "600"},
		{" max='-5'", 10 * time.Minute, "600"}, {" max='1.5'", 10 * time.Minute, "600"}, {" max='soon'", 10 * time.Minute, "600"},
		{"", 90*time.Second + 900*time.Millisecond, "90"}, {" max='5'", 0, ""}, {"", 0, ""}, {"", 900 * time.Millisecond, ""},
	} {
		b := start(t, func(conf *c2s.Config) { conf.Limits.Resume = c.server })
		conn := b.bound()
		send(t, conn, "<enable xmlns='urn:xmpp:sm:3' resume='true'"+c.wish+"/>")
		n := next(t, conn)
		resumes := n.Get("resume") == "true" && n.Get("id") != ""
		if n.Name.Local != "enabled" || n.Get("max") != c.want || resumes != (c.want != "") {
			t.Errorf("wish%q, server %v: %v, want max %q", c.wish, c.server, n, c.want)
			continue
		}
		sm := b.core.Session(phone).StreamManagement()
		if got := strconv.Itoa(int(sm.Window / time.Second)); sm.Resume && got != c.want {
			t.Errorf("wish%q, server %v: announced %s s, the session waits %s s", c.wish, c.server, c.want, got)
		}
	}
}

func TestManagement_withoutResumeHasNoID(t *testing.T) {
	b := start(t)
	c := b.bound()
	send(t, c, "<enable xmlns='urn:xmpp:sm:3'/>")
	if n := next(t, c); n.Name.Local != "enabled" || n.Get("id") != "" || n.Get("resume") != "" {
		t.Fatal(n)
	}
}

func TestManagement_refusals(t *testing.T) {
	b := start(t)
	c := b.bound()
	failed := func() {
		t.Helper()
		if n := next(t, c); n.Name.Local != "failed" || n.Kid("", "unexpected-request") == nil {
			t.Fatal(n)
		}
	}
	send(t, c, "<r xmlns='urn:xmpp:sm:3'/>")
	failed()
	send(t, c, "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>")
	failed()
	send(t, c, enableSM+enableSM)
	next(t, c)
	failed()
	send(t, c, "<a xmlns='urn:xmpp:sm:3' h='1'/>")
	n := next(t, c)
	if h := n.Kid("urn:xmpp:sm:3", "handled-count-too-high"); n.Condition() != "undefined-condition" || h.Get("h") != "1" || h.Get("send-count") != "0" {
		t.Fatalf("%v (XEP-0198 §4)", n)
	}
}

func TestManagement_resumeWithTooHighACount(t *testing.T) {
	b := start(t)
	alice := b.login("alice", "phone", withSM)
	alice.Cut()
	c := b.authed()
	send(t, c, "<resume xmlns='urn:xmpp:sm:3' previd='"+alice.SMID+"' h='99'/>")
	if n := next(t, c); n.Condition() != "undefined-condition" {
		t.Fatal(n)
	}
}

func TestManagement_resumeOfOthersAndMalformed(t *testing.T) {
	b := start(t)
	bob := b.login("bob", "desk", withSM)
	c := b.authed()
	for _, r := range []string{"previd='" + bob.SMID + "' h='0'", "previd='' h='0'", "h='0'", "previd='x'", "previd='x' h='-1'", "previd='x' h='4294967296'"} {
		send(t, c, "<resume xmlns='urn:xmpp:sm:3' "+r+"/>")
		if n := next(t, c); n.Name.Local != "failed" {
			t.Fatalf("%s: %v", r, n)
		}
	}
	if err := bob.Fence(patience); err != nil { // HARDENING A11
		t.Error(err)
	}
}

func TestManagement_resumeTakesOverALiveConnection(t *testing.T) {
	b := start(t)
	old := b.bound()
	send(t, old, enableSM)
	id := next(t, old).Get("id")
	c := b.authed()
	send(t, c, "<resume xmlns='urn:xmpp:sm:3' previd='"+id+"' h='0'/>")
	if n := next(t, c); n.Name.Local != "resumed" {
		t.Fatal(n)
	}
	closedWith(t, old, "conflict")
	send(t, c, "<message to='"+phone+"'><body>still here</body></message>")
	if n := next(t, c); n.Body() != "still here" {
		t.Fatal(n)
	}
}

// TestManagement_requests counts <r/>: one at a time, and one behind the last frame.
func TestManagement_requests(t *testing.T) {
	b := start(t)
	c := b.bound()
	send(t, c, enableSM)
	next(t, c)
	s := b.core.Session(phone)
	const n = 100
	for i := range n {
		s.Push(&session.Frame{Bytes: fmt.Appendf(nil, "<message id='%d'/>", i), NameEnd: 8, Kind: stanza.Message})
	}
	got, asked := 0, 0
	for got < n || asked == 0 {
		switch k := next(t, c); k.Name.Local {
		case "message":
			if k.Get("id") != strconv.Itoa(got) {
				t.Fatalf("%v, want %d", k, got)
			}
			got++
		case "r":
			asked++
			send(t, c, "<a xmlns='urn:xmpp:sm:3' h='"+strconv.Itoa(got)+"'/>")
		}
	}
	answer := func() { send(t, c, "<a xmlns='urn:xmpp:sm:3' h='"+strconv.Itoa(got)+"'/>") }
	fence := func() { // returns when everything sent here has been taken
		for again := true; again; {
			again = false
			send(t, c, "<r xmlns='urn:xmpp:sm:3'/>")
			for k := next(t, c); k.Name.Local != "a"; k = next(t, c) {
				answer()
				again = true
			}
		}
	}
	for fence(); ; fence() {
		if sent, waiting := s.Unacked(); sent+waiting == 0 {
			break
		}
		if k := next(t, c); k.Name.Local != "r" { // in time the server asks again
			t.Fatal(k)
		}
		answer()
	}
	if asked > n/5 {
		t.Errorf("asked %d times for %d frames", asked, n)
	}
}

func TestState_inactiveHoldsBackWhatCanWait(t *testing.T) {
	b := start(t)
	c := b.bound()
	send(t, c, "<inactive xmlns='urn:xmpp:csi:0'/><iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
	next(t, c)
	s := b.core.Session(phone)
	if !s.Flags().Inactive {
		t.Fatal("not inactive")
	}
	s.Push(&session.Frame{Bytes: []byte("<presence from='bob@acme.test'/>"), NameEnd: 9, Kind: stanza.Presence})
	send(t, c, "<iq type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>")
	first, second := next(t, c), next(t, c)
	if first.Name.Local != "presence" || second.Get("id") != "2" {
		t.Errorf("%v %v: an answer brings what was held back, in order", first, second)
	}
	s.Push(&session.Frame{Bytes: []byte("<presence from='bob@acme.test'/>"), NameEnd: 9, Kind: stanza.Presence})
	send(t, c, "<active xmlns='urn:xmpp:csi:0'/>")
	if n := next(t, c); n.Name.Local != "presence" {
		t.Error(n)
	}
}

func TestIdle_peerIsAskedThenGivenUp(t *testing.T) {
	b := start(t, func(c *c2s.Config) { c.Limits.Idle, c.Limits.Grace = 100*time.Millisecond, 200*time.Millisecond })
	plain := b.bound()
	if n := next(t, plain); n.Name.Local != "iq" || n.Kid("urn:xmpp:ping", "ping") == nil || n.Get("to") != phone {
		t.Fatalf("%v, want a ping (XEP-0199)", n)
	}
	if !b.core.Await("detach "+phone, patience) {
		t.Fatal("a dead peer keeps its session")
	}
	managed := b.bound()
	send(t, managed, enableSM)
	next(t, managed)
	for range 3 { // an answer keeps it alive
		if n := next(t, managed); n.Name.Local != "r" {
			t.Fatalf("%v, want <r/>", n)
		}
		send(t, managed, "<a xmlns='urn:xmpp:sm:3' h='0'/>")
	}
}

func TestSlowReader_isCutOff(t *testing.T) {
	b := start(t, func(c *c2s.Config) { c.Limits.Write = 300 * time.Millisecond })
	c := b.bound()
	s := b.core.Session(phone)
	big := &session.Frame{Bytes: []byte("<message><body>" + strings.Repeat("x", 100<<10) + "</body></message>"), NameEnd: 8, Kind: stanza.Message}
	// The kernel takes some megabytes before a write blocks. A full queue would
	// end the session before that.
	space, cut := s.Space(), make(chan bool, 1)
	go func() { cut <- b.core.Await("detach "+phone, patience) }()
	for {
		if _, room, ended := s.Room(); ended {
			break
		} else if room > len(big.Bytes) {
			s.Push(big)
			continue
		}
		select {
		case <-space:
			continue
		case ok := <-cut:
			cut <- ok
		}
		break
	}
	if !<-cut {
		t.Fatal("who does not read keeps its session attached")
	}
	_ = c
}

func TestConflict_reachesAReaderThatHangs(t *testing.T) {
	b := start(t)
	c := b.bound()
	s := b.core.Session(phone)
	big := &session.Frame{Bytes: []byte("<message><body>" + strings.Repeat("x", 200<<10) + "</body></message>"), NameEnd: 8, Kind: stanza.Message}
	for range 5 {
		s.Push(big)
	}
	began := time.Now()
	s.Kick(stream.Fail("conflict", "as asked"))
	if !b.core.Await("detach "+phone, patience) {
		t.Fatal("not ended")
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
	_ = c
}
