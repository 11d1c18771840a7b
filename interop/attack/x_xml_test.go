package attack

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

const header = "<stream:stream to='" + server.Domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// X1: entities are neither declared nor fetched, at any point of a stream.
func TestX1_entitiesAndDoctypes(t *testing.T) {
	t.Parallel()
	p := apart(t, 40)
	stop := canary(t, p)
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	called := make(chan string, 1)
	go func() {
		if c, err := trap.Accept(); err == nil {
			called <- c.RemoteAddr().String()
			_ = c.Close()
		}
	}()
	bait := filepath.Join(t.TempDir(), "bait")
	if err := os.WriteFile(bait, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	touched, outbound := watch(t, bait), p.traced(t)
	laughs := "<!DOCTYPE l [<!ENTITY a 'ha'>" + strings.Repeat("<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>", 40) + "]>"
	attacks := map[string]string{
		"doctype":       "<!DOCTYPE x>",
		"laughs":        laughs,
		"external file": "<!DOCTYPE x [<!ENTITY e SYSTEM 'file://" + bait + "'>]>",
		"external http": "<!DOCTYPE x SYSTEM 'http://" + trap.Addr().String() + "/x.dtd'>",
		"named host":    "<!DOCTYPE x PUBLIC 'p' 'http://entity.example.org/x.dtd'>",
		"parameter":     "<!DOCTYPE x [<!ENTITY % e SYSTEM 'http://" + trap.Addr().String() + "/'> %e;]>",
		"bare entity":   "<!ENTITY x 'y'>",
	}
	before := p.rss(t)
	conns := 0
	for what, doc := range attacks {
		user := p.person(t)
		for _, s := range []stage{dialed, opened, secured, authed, bound} {
			conns++
			closed(t, what+" at "+s.String(), p.at(t, s, user), doc, "restricted-xml")
		}
		for where, text := range map[string]string{
			"behind the declaration": "<?xml version='1.0'?>" + doc + header,
		} {
			conns++
			closed(t, what+" "+where, p.at(t, dialed, ""), text, "restricted-xml")
		}
		for where, text := range map[string]string{
			"in a message": "<message to='" + bare(user) + "'><body>" + doc,
			"in a vCard":   "<iq type='set' id='v'><vCard xmlns='vcard-temp'><FN>" + doc,
			"in a form":    "<iq type='set' id='f'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>" + doc,
		} {
			conns++
			closed(t, what+" "+where, p.at(t, bound, user), text, "restricted-xml")
		}
		conns += 2
		w := p.websocket(t)
		w.closed(t, what+" in the first WebSocket frame", doc+wsOpen, "restricted-xml")
		w = p.websocketBound(t, user)
		w.closed(t, what+" in a WebSocket frame", "<message xmlns='jabber:client' to='"+bare(user)+"'><body>"+doc+"</body></message>", "restricted-xml")
	}
	// RFC 6120 §11.1: no references but to the five predefined entities.
	closed(t, "undeclared entity", p.at(t, bound, p.person(t)), "<message><body>&lol;</body></message>", "restricted-xml")
	// The HTTPS API reads JSON; XML is not even parsed.
	for what, doc := range attacks {
		if status, text := p.browser(t).call(t, "POST", "/api/v1/session", "<?xml version='1.0'?>"+doc+"<x>&e;</x>"); status != http.StatusBadRequest {
			t.Errorf("%s as the body of a login: %d %s", what, status, text)
		}
	}
	stop()
	grew := p.rss(t) - before
	t.Logf("%d connections, resident memory grew by %d KiB", conns, grew>>10)
	if grew > int64(conns)<<20 {
		t.Errorf("MEM: %d bytes for %d connections, limit 1 MiB each", grew, conns)
	}
	select {
	case who := <-called:
		t.Errorf("the server fetched an entity: %s", who)
	default:
	}
	if n := touched(); n > 0 {
		t.Errorf("the server opened the entity's file")
	}
	if calls := outbound(); len(calls) > 0 {
		t.Errorf("the server dialled out: %q", calls)
	}
}

// traced lists the calls by which the server connects to or sends to somebody
// by address from now on: TCP, and the questions of a look-up by name.
func (p *place) traced(t *testing.T) (calls func() []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "calls")
	cmd := exec.Command("strace", "-f", "-qq", "-e", "trace=connect,sendmmsg", "-o", file, "-p", fmt.Sprint(p.Pid))
	if err := cmd.Start(); err != nil {
		t.Fatalf("strace is missing: apt-get install strace: %v", err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Signal(os.Interrupt) // it lets go of the server
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	if !until(patience, func() bool { return p.isTraced(t) }) {
		t.Fatal("strace has not taken hold of the server")
	}
	return func() (out []string) {
		stop()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, "AF_INET") {
				out = append(out, strings.TrimSpace(line))
			}
		}
		return out
	}
}

func (p *place) isTraced(t testing.TB) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "TracerPid:\t")
	return rest != "" && rest[0] != '0'
}

// watch counts how often a file is opened from now on.
func watch(t *testing.T, file string) func() int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, file, unix.IN_OPEN|unix.IN_ACCESS); err != nil {
		t.Fatal(err)
	}
	return func() int {
		n, err := unix.Read(fd, make([]byte, 4096))
		if err != nil {
			return 0 // EAGAIN: nothing happened
		}
		return n
	}
}

// X2: what RFC 6120 §11.1 forbids ends the stream wherever it stands; CDATA is text.
func TestX2_restrictedMarkup(t *testing.T) {
	t.Parallel()
	p := target(t)
	user := p.person(t)
	me := bare(user)
	positions := []struct {
		name       string
		at         stage
		head, tail string
	}{
		{"before the header", dialed, "", header},
		{"behind the header", opened, "", ""},
		{"behind TLS", secured, "", ""},
		{"before binding", authed, "", ""},
		{"between stanzas", bound, "<presence/>", "<presence/>"},
		{"in a stanza", bound, "<message to='" + me + "'>", "</message>"},
		{"in text", bound, "<message to='" + me + "'><body>a", "b</body></message>"},
	}
	for _, tok := range []struct{ name, text string }{
		{"comment", "<!-- x -->"},
		{"processing instruction", "<?php x ?>"},
		{"document type", "<!DOCTYPE a>"},
		{"late declaration", "<?xml version='1.0'?>"},
	} {
		for _, pos := range positions {
			text := tok.text
			if tok.name == "late declaration" && pos.at == dialed {
				text += text // the first one is in its place
			}
			closed(t, tok.name+" "+pos.name, p.at(t, pos.at, user), pos.head+text+pos.tail, "restricted-xml")
		}
	}
	for _, tok := range []string{"<!-- x -->", "<?php x ?>", "<!DOCTYPE a>", "<?xml version='1.0'?>"} {
		p.restrictedFrames(t, user, tok)
	}
	// CDATA outside of an element is no text of anything.
	closed(t, "CDATA between stanzas", p.at(t, bound, user), "<![CDATA[x]]>", "not-well-formed", "bad-format")

	a, b := p.login(t, user, "a"), p.login(t, p.person(t), "b")
	if err := a.Send("<message type='chat' to='" + b.JID + "' id='cd'><body>1<![CDATA[<&]]]]><![CDATA[>2]]>3</body></message>"); err != nil {
		t.Fatal(err)
	}
	got, err := b.Take(patience, func(n *client.Node) bool { return n.Get("id") == "cd" })
	if err != nil {
		t.Fatal(err)
	}
	if got.Body() != "1<&]]>23" {
		t.Errorf("CDATA came as %q", got.Body())
	}
}

// restrictedFrames puts a token at the same positions of WebSocket messages
// (RFC 7395 §3.3: each is one element).
func (p *place) restrictedFrames(t *testing.T, user, tok string) {
	late := strings.HasPrefix(tok, "<?xml")
	message := func(head, tail string) string {
		return "<message xmlns='jabber:client' to='" + bare(user) + "'>" + head + tok + tail + "</message>"
	}
	if !late { // RFC 7395 §3.3.3 tells to ignore one before the first element
		p.websocket(t).closed(t, tok+" in the first frame", tok+wsOpen, "restricted-xml")
	}
	w := p.websocket(t)
	w.text(t, wsOpen)
	w.until(t, "</stream:features>")
	w.closed(t, tok+" before login", "<auth xmlns='"+saslNS+"' mechanism='PLAIN'>"+tok+"</auth>", "restricted-xml")
	for where, text := range map[string]string{"alone": tok, "in a stanza": message("", ""), "in text": message("<body>a", "b</body>")} {
		if late && where == "alone" {
			continue
		}
		p.websocketBound(t, user).closed(t, tok+" "+where+" in a frame", text, "restricted-xml", "bad-format")
	}
}

// X3: the 51st open element ends the stream, long before 10⁵.
func TestX3_deepNesting(t *testing.T) {
	t.Parallel()
	p := target(t)
	user := p.person(t)
	for _, s := range []stage{opened, secured, authed, bound} {
		closed(t, "10⁵ open tags at "+s.String(), p.at(t, s, user), strings.Repeat("<a>", 100_000), "policy-violation")
		// Closed at the 51st, with nothing behind it: what is held is 153 bytes.
		closed(t, "51 open tags at "+s.String(), p.at(t, s, user), strings.Repeat("<a>", 51), "policy-violation")
	}
	for where, prefix := range map[string]string{
		"a message": "<message to='" + bare(user) + "'>",
		"a form":    "<iq type='set' id='f'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>",
		"a vCard":   "<iq type='set' id='v'><vCard xmlns='vcard-temp'>",
	} {
		closed(t, "10⁵ open tags in "+where, p.at(t, bound, user), prefix+strings.Repeat("<a>", 100_000), "policy-violation")
		closed(t, "the 51st in "+where, p.at(t, bound, user), prefix+strings.Repeat("<a>", 51-strings.Count(prefix, "<")), "policy-violation")
	}
	for what, n := range map[string]int{"51": 51, "10⁴": 10_000} {
		p.websocket(t).closed(t, what+" open tags in the first frame", strings.Repeat("<a>", n), "policy-violation")
		p.websocketBound(t, user).closed(t, what+" open tags in a frame", "<message xmlns='jabber:client'>"+strings.Repeat("<a>", n-1), "policy-violation")
	}
	a, b := p.login(t, user, "a"), p.login(t, p.person(t), "b")
	deep := "<message to='" + b.JID + "' id='deep'>" + strings.Repeat("<a xmlns='x'>", 49) + strings.Repeat("</a>", 49) + "</message>"
	if err := a.Send(deep); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Take(patience, func(n *client.Node) bool { return n.Get("id") == "deep" }); err != nil {
		t.Errorf("50 elements deep must pass: %v", err)
	}
}

// wide is a family of stanzas that reach a limit of HARDENING §0 exactly.
type wide struct {
	what  string
	limit int
	make  func(to, id string, n int) string
}

func wides() []wide {
	head := func(to, id string) string { return "<message to='" + to + "' id='" + id + "'>" }
	fill := func(s string, n int, tail string) string {
		return s + strings.Repeat("x", n-len(s)-len(tail)) + tail
	}
	return []wide{
		{"bytes of text", 256 << 10, func(to, id string, n int) string {
			return fill(head(to, id)+"<body>", n, "</body></message>")
		}},
		{"bytes of one attribute", 256 << 10, func(to, id string, n int) string {
			return fill(head(to, id)+"<a xmlns='w' b='", n, "'/></message>")
		}},
		{"bytes of a name", 256 << 10, func(to, id string, n int) string {
			return fill(head(to, id)+"<a xmlns='w' ", n, "='1'/></message>")
		}},
		{"elements", 4096, func(to, id string, n int) string {
			return head(to, id) + "<w xmlns='w'>" + strings.Repeat("<a/>", n-2) + "</w></message>"
		}},
		{"attributes", 64, func(to, id string, n int) string {
			s := head(to, id) + "<a xmlns='w'"
			for i := range n {
				s += fmt.Sprintf(" a%d=''", i)
			}
			return s + "/></message>"
		}},
		{"namespace declarations", 64, func(to, id string, n int) string {
			s := head(to, id) + "<a"
			for i := range n {
				s += fmt.Sprintf(" xmlns:p%d='n%d'", i, i)
			}
			return s + "/></message>"
		}},
	}
}

// X4: at the limit a stanza passes, above it the stream ends; a stanza costs no
// more than 12 times its size.
func TestX4_wideStanzas(t *testing.T) {
	t.Parallel()
	p := apart(t, 60)
	stop := canary(t, p)
	for i, w := range wides() {
		user := p.person(t)
		b := p.login(t, p.person(t), "b")
		for _, n := range []int{w.limit - 1, w.limit} {
			a := p.login(t, user, "a")
			id := fmt.Sprintf("%d-%d", i, n)
			if err := a.Send(w.make(b.JID, id, n)); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Take(patience, func(n *client.Node) bool { return n.Get("id") == id }); err != nil {
				t.Errorf("%d %s: %v; the limit is %d", n, w.what, err, w.limit)
			}
		}
		closed(t, fmt.Sprintf("%d %s", w.limit+1, w.what), p.at(t, bound, user), w.make(b.JID, "over", w.limit+1), "policy-violation")
		nothingRouted(t, b)
	}
	p.floods(t)
	stop()
}

// floods holds many wide stanzas in the server at once, all but their last byte.
func (p *place) floods(t *testing.T) {
	const n = 20
	const size = 250 << 10
	before := p.rss(t)
	for what, unit := range map[string]string{"elements": "<a/>", "attributes": "<a b='' c='' d='' e='' f='' g='' h='' i=''/>"} {
		head := "<message to='" + bare("nobody") + "'>"
		text := head + strings.Repeat(unit, min(4090, (size-len(head))/len(unit)))
		text += "<b>" + strings.Repeat("y", size-len(text))
		var conns []*client.Conn
		for range n {
			conns = append(conns, p.at(t, bound, p.person(t)))
		}
		peak := before
		for _, c := range conns {
			if err := c.Send(text); err != nil {
				t.Fatal(err)
			}
		}
		// Read when it has them all: a complete stanza would be answered and gone.
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
			peak = max(peak, p.rss(t))
			until(50*time.Millisecond, func() bool { return false })
		}
		for _, c := range conns {
			_ = c.Close()
		}
		grew := peak - before
		t.Logf("%d stanzas of %d bytes in %s: %d KiB, %.1f bytes a byte", n, size, what, grew>>10, float64(grew)/(n*size))
		// The sessions themselves cost what HARDENING allows an idle one.
		if grew > 12*n*size {
			t.Errorf("%s: %d bytes of memory for %d of stanzas, limit 12 times", what, grew, n*size)
		}
	}
}
