package attack

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// seeded is a random source whose seed is in the test's log.
func seeded(t *testing.T) *rand.Rand {
	n := uint64(time.Now().UnixNano())
	if *seed != 0 {
		n = *seed
	}
	t.Logf("seed %d (replay: -seed=%d)", n, n)
	return rand.New(rand.NewPCG(n, 7))
}

// odd writes XML that is valid and as unusual as it gets.
type odd struct {
	*rand.Rand
	b strings.Builder
}

func (o *odd) pick(s ...string) string { return s[o.IntN(len(s))] }

func (o *odd) text() {
	for range o.IntN(4) {
		o.b.WriteString(o.pick("a", " ", "&lt;", "&amp;", "&gt;", "&apos;", "&quot;", "&#x3c;", "&#60;message>", "]]&gt;", "]]", "ÿ", "\u2028",
			"&#10;", "&#x1F600;", "\U0001F600", "<![CDATA[<message from='x'/>]]>", "<![CDATA[]]]]>", "<![CDATA[]]>", "&#x27;/>", "'", "\"", "--", "?>", "\n"))
	}
}

// element writes one; prefixes are those declared around it.
func (o *odd) element(depth int, prefixes []string) {
	name := o.pick("a", "b", "message", "body2", "_", "ä", "x.y-z", "stanza", "iq")
	attrs, seen := "", map[string]bool{}
	if o.IntN(3) == 0 {
		attrs += " xmlns" + o.eq(o.pick("urn:a", "jabber:client", "", "urn:&quot;'&lt;", "http://etherx.jabber.org/streams"))
	}
	if o.IntN(3) == 0 {
		p := o.pick("p", "q", "stream", "ns1", "é")
		attrs += " xmlns:" + p + o.eq(o.pick("urn:p", "urn:q", "jabber:client", "urn:&amp;x"))
		prefixes = append(slices.Clone(prefixes), p)
	}
	for range o.IntN(4) {
		a := o.pick("from", "to", "id", "type", "x", "é", "xml:lang", "xml:space")
		if len(prefixes) > 0 && o.IntN(4) == 0 {
			a = prefixes[o.IntN(len(prefixes))] + ":z"
		}
		if !seen[a[strings.IndexByte(a, ':')+1:]] {
			seen[a[strings.IndexByte(a, ':')+1:]] = true
			attrs += o.pick(" ", "  ", "\t") + a + o.eq(o.pick("", "v", "&lt;a/&gt;", "'/><pwn/>", "\"/><pwn/>", "&#x9;&#xA;", ">", "&amp;amp;", "é"))
		}
	}
	if len(prefixes) > 0 && o.IntN(3) == 0 {
		name = prefixes[o.IntN(len(prefixes))] + ":" + name
	}
	o.b.WriteString("<" + name + attrs + o.pick("", " "))
	if o.IntN(3) == 0 {
		o.b.WriteString("/>")
		return
	}
	o.b.WriteString(">")
	for range o.IntN(4) {
		o.text()
		if depth > 0 {
			o.element(depth-1, prefixes)
		}
	}
	o.text()
	o.b.WriteString("</" + name + o.pick("", " ") + ">")
}

// eq writes ="value", quoted by what does not stand in it.
func (o *odd) eq(v string) string {
	// A literal "<" may not stand in a value (XML 1.0 §2.3).
	v = strings.ReplaceAll(v, "<", "&lt;")
	q := o.pick("'", "\"")
	if strings.Contains(v, q) {
		v = strings.ReplaceAll(strings.ReplaceAll(v, "'", "&apos;"), "\"", "&quot;")
	}
	return o.pick("=", " =", "= ") + q + v + q
}

// canon writes the children of the element in one form: names with namespaces,
// attributes in order, text joined. Only the elements keep accepts count.
func canon(n *client.Node, keep func(*client.Node) bool) string {
	var b strings.Builder
	for _, k := range n.Kids {
		if keep == nil || keep(k) {
			canonNode(&b, k)
		}
	}
	return b.String()
}

func canonNode(b *strings.Builder, n *client.Node) {
	fmt.Fprintf(b, "<{%s}%s", n.Name.Space, n.Name.Local)
	attrs := slices.Clone(n.Attr)
	slices.SortFunc(attrs, func(x, y xml.Attr) int {
		return strings.Compare(x.Name.Space+" "+x.Name.Local, y.Name.Space+" "+y.Name.Local)
	})
	for _, a := range attrs {
		fmt.Fprintf(b, " {%s}%s=%q", a.Name.Space, a.Name.Local, a.Value)
	}
	fmt.Fprintf(b, ">%q", n.Text)
	for _, k := range n.Kids {
		canonNode(b, k)
	}
	b.WriteString("</>")
}

// mine are the children a sender wrote, not those the server adds.
func mine(k *client.Node) bool { return k.Name.Local != "stanza-id" && k.Name.Local != "delay" }

// X6: what a receiver's parser sees is what the sender's bytes meant, on every
// way out: to a client, to a WebSocket, as a carbon, from the archive.
func TestX6_smuggling(t *testing.T) {
	t.Parallel()
	p := target(t)
	rng := seeded(t)
	a := p.login(t, p.person(t), "a")
	a2 := p.login(t, a.Opt.User, "a2")
	b := p.login(t, p.person(t), "b")
	wsUser := p.person(t)
	w, wsJID := p.websocketBound(t, wsUser), bare(wsUser)+"/ws"
	for _, c := range []*client.Client{a, a2} {
		if n, err := c.IQ(patience, "set", "", "<enable xmlns='urn:xmpp:carbons:2'/>"); err != nil || n.Get("type") != "result" {
			t.Fatalf("carbons: %v %v", n, err)
		}
		if err := c.Send("<presence/>"); err != nil { // copies go to who is there
			t.Fatal(err)
		}
	}
	heard(t, a2)
	const count = 300
	want := map[string]string{}
	for i := range count {
		o := &odd{Rand: rng}
		for range 1 + rng.IntN(3) {
			o.element(3, nil)
		}
		id := fmt.Sprintf("odd-%d", i)
		text := "<body>" + id + "</body>" + o.b.String()
		n, err := client.ParseNode("<message>" + text + "</message>")
		if err != nil {
			t.Fatalf("the generator wrote what is no XML: %v\n%s", err, text)
		}
		want[id] = canon(n, mine)
		to := b.JID
		if i%2 == 1 {
			to = wsJID
		}
		if err := a.Send("<message type='chat' id='" + id + "' to='" + to + "'>" + text + "</message>"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Fence(patience); err != nil {
		t.Fatalf("the sender's stream: %v", err)
	}
	seen := map[string]int{}
	check := func(way string, n *client.Node) {
		t.Helper()
		id := n.Get("id")
		if want[id] == "" {
			if n.Body() != "fence" {
				t.Errorf("%s: nobody sent %s", way, n)
			}
			return
		}
		seen[way]++
		if got := canon(n, mine); got != want[id] {
			t.Errorf("%s: %s differs\nsent %s\ngot  %s", way, id, want[id], got)
		}
		if from := n.Get("from"); from != a.JID {
			t.Errorf("%s: from %q", way, from)
		}
	}
	for _, n := range heard(t, b) {
		check("client", n)
	}
	for range count / 2 {
		s := w.until(t, "<message")
		n, err := client.ParseNode(s)
		if err != nil {
			t.Fatalf("WebSocket: %v\n%s", err, s)
		}
		check("WebSocket", n)
	}
	for _, n := range heard(t, a2) {
		if m, sent := a2.Carried(n); sent {
			check("carbon", m)
		} else {
			check("to the second device", n)
		}
	}
	kept, err := a.Archive(patience, 50)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kept {
		check("archive", k.Message)
	}
	t.Logf("same on every way: %v", seen)
	for way, n := range map[string]int{"client": count / 2, "WebSocket": count / 2, "carbon": count, "archive": count} {
		if seen[way] != n {
			t.Errorf("%s: %d messages, sent were %d", way, seen[way], n)
		}
	}
}

// evil are strings that end attributes, text, elements and CDATA sections if
// somebody forgets to escape them.
var evil = []string{
	`'/><pwn xmlns='x'/><a b='`, `"/><pwn xmlns="x"/><a b="`, `<pwn/>`, `</body><pwn/><body>`, `]]><pwn/>`, `&<>"']]>`, `&lt;pwn/&gt;`,
	"é\U0001F600'<pwn/>", "-->", `'`,
}

// X7: what people choose comes back as data in everything the server writes.
func TestX7_echoesAreEscaped(t *testing.T) {
	t.Parallel()
	p := target(t)
	for i, bad := range evil {
		e := client.Escape(bad)
		// The server's own header, features and errors: nothing of a client's choice gets out of them.
		for what, head := range map[string]string{
			"to":   strings.Replace(header, "to='"+server.Domain+"'", "to='"+e+"'", 1),
			"from": strings.Replace(header, "to=", "from='"+e+"' to=", 1),
			"id":   strings.Replace(header, "to=", "id='"+e+"' xml:lang='"+e+"' to=", 1),
		} {
			end := last(p.at(t, dialed, ""), head+"</stream:stream>")
			if end.err != nil || strings.Contains(end.text, "<pwn") {
				t.Errorf("header with %s=%q: %v %q", what, bad, end.err, tail(end.text))
			}
		}
		end := last(p.at(t, secured, ""), "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='"+e+"'>"+e+"</auth></stream:stream>")
		if end.err != nil || strings.Contains(end.text, "<pwn") {
			t.Errorf("mechanism %q: %v %q", bad, end.err, tail(end.text))
		}
		end = last(p.at(t, authed, p.person(t)), "<resume xmlns='urn:xmpp:sm:3' previd='"+e+"' h='1'/></stream:stream>")
		if end.err != nil || strings.Contains(end.text, "<pwn") {
			t.Errorf("previd %q: %v %q", bad, end.err, tail(end.text))
		}
		p.echo(t, i, bad)
		p.echoHTTP(t, bad)
	}
	p.echoLog(t)
}

// echoHTTP puts bad where the HTTPS API might say it again: what comes back is
// one JSON object, and no header of the client's making.
func (p *place) echoHTTP(t *testing.T, bad string) {
	t.Helper()
	in, err := json.Marshal(map[string]string{"user": bad, "password": bad})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/api/v1/session", string(in)}, {"POST", "/api/v1/session", bad}, {"GET", "/api/v1/info?x=" + url.QueryEscape(bad), ""},
		{"GET", "/api/v1/" + url.PathEscape(bad), ""}, {"POST", "/api/v1/setup", string(in)},
	} {
		status, text := p.browser(t).call(t, c.method, c.path, c.body)
		var v any
		if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &v) != nil || strings.Contains(text, "<pwn") || status >= 500 {
			t.Errorf("%s %s with %q: %d %s", c.method, c.path, bad, status, text)
		}
	}
	h := p.https(t, "http/1.1")
	host := strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, bad)
	if _, err := io.WriteString(h, "GET /api/v1/info HTTP/1.1\r\nHost: x"+host+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(h)
	if strings.Contains(string(b), "<pwn") {
		t.Errorf("the host %q comes back as %q", bad, tail(string(b)))
	}
}

// echoLog writes lines of a log into everything that is logged.
func (p *place) echoLog(t *testing.T) {
	t.Helper()
	mark := "forged-" + client.Token()
	line := "x\r\nlevel=INFO msg=" + mark + "\n" + mark + "\x1b[2J"
	in, err := json.Marshal(map[string]string{"user": line, "password": line})
	if err != nil {
		t.Fatal(err)
	}
	p.browser(t).call(t, "POST", "/api/v1/session", string(in))
	_ = last(p.at(t, secured, ""), plainAuth("", line, line)+"</stream:stream>")
	_ = last(p.at(t, dialed, ""), strings.Replace(header, "to='"+server.Domain+"'", "to='"+client.Escape(strings.ReplaceAll(line, "\x1b", ""))+"'", 1))
	for l := range strings.Lines(p.Output()) {
		if strings.HasPrefix(l, mark) || strings.HasPrefix(l, "level=INFO msg="+mark) || strings.Contains(l, "\x1b[2J") {
			t.Errorf("a line of the log was written by a client: %q", l)
		}
	}
}

// echo sends bad in everything a bound client may choose, and reads it all back.
func (p *place) echo(t *testing.T, i int, bad string) {
	t.Helper()
	e := client.Escape(bad)
	a := p.login(t, p.person(t), "r"+bad)
	b := p.login(t, p.person(t), "b")
	for _, c := range []*client.Client{a, b} {
		if err := c.Send("<presence/>"); err != nil {
			t.Fatal(err)
		}
	}
	requests := []struct{ typ, to, payload string }{
		{"get", "", "<ping xmlns='urn:xmpp:ping'/>"},
		{"get", server.Domain, "<query xmlns='http://jabber.org/protocol/disco#info' node='" + e + "'/>"},
		{"get", server.Domain, "<query xmlns='http://jabber.org/protocol/disco#items' node='" + e + "'/>"},
		{"get", server.Domain, "<nothing xmlns='" + e + "' a='" + e + "'>" + e + "</nothing>"},
		{"set", "", "<query xmlns='jabber:iq:roster'><item jid='x" + fmt.Sprint(i) + "@acme.test' name='" + e + "'><group>" + e + "</group></item></query>"},
		{"get", "", "<query xmlns='jabber:iq:roster' ver='" + e + "'/>"},
		{"set", "", "<vCard xmlns='vcard-temp'><FN>" + e + "</FN><URL>" + e + "</URL></vCard>"},
		{"get", "", "<vCard xmlns='vcard-temp'/>"},
		{"get", bare(b.Opt.User), "<vCard xmlns='vcard-temp'/>"},
		{"set", "", "<query xmlns='urn:xmpp:mam:2' queryid='" + e + "'><set xmlns='http://jabber.org/protocol/rsm'><max>5</max></set></query>"},
		{"set", "", "<query xmlns='urn:xmpp:mam:2' queryid='" + e + "'><set xmlns='http://jabber.org/protocol/rsm'><after>" + e + "</after></set></query>"},
		{"set", "", "<block xmlns='urn:xmpp:blocking'><item jid='" + e + "'/></block>"},
		{"set", "", "<block xmlns='urn:xmpp:blocking'><item jid='x@acme.test/" + e + "'/></block>"},
		{"get", "", "<blocklist xmlns='urn:xmpp:blocking'/>"},
		{"get", "nobody@acme.test/" + e, "<ping xmlns='urn:xmpp:ping'/>"},
		{"get", "not a jid" + e, "<ping xmlns='urn:xmpp:ping'/>"},
		{e, "", "<ping xmlns='urn:xmpp:ping'/>"},
	}
	ids := map[string]int{}
	for n, r := range requests {
		id := bad + fmt.Sprint(n)
		ids[id] = 0
		to := ""
		if r.to != "" {
			to = " to='" + r.to + "'"
		}
		if err := a.Send("<iq id='" + client.Escape(id) + "' type='" + r.typ + "'" + to + ">" + r.payload + "</iq>"); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []string{
		"<message id='m" + e + "' to='nobody@acme.test'><body>" + e + "</body><subject>" + e + "</subject></message>",
		"<message id='n" + e + "' type='chat' to='" + b.JID + "'><body>" + e + "</body><thread>" + e + "</thread><origin-id xmlns='urn:xmpp:sid:0' id='" + e + "'/></message>",
		"<presence id='p" + e + "' type='" + e + "'/>",
		"<presence id='q" + e + "' to='" + b.JID + "'><status>" + e + "</status><show>" + e + "</show></presence>",
	} {
		if err := a.Send(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Fence(patience); err != nil {
		t.Fatalf("echo of %q: the stream: %v", bad, err)
	}
	for _, n := range heard(t, a) {
		noPwn(t, n)
		if _, mine := ids[n.Get("id")]; mine {
			ids[n.Get("id")]++
		}
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("request %q got %d answers", id, n)
		}
	}
	body, status := "", ""
	for _, n := range heard(t, b) {
		noPwn(t, n)
		if n.Name.Local == "message" {
			body = n.Body()
		} else if s := n.Kid("", "status"); s != nil {
			status = s.Text
		}
		if from := n.Get("from"); from != a.JID && !strings.HasPrefix(from, b.JID) && n.Name.Local != "iq" {
			t.Errorf("b heard from %q: %s", from, n)
		}
	}
	if body != bad || status != bad {
		t.Errorf("%q came as body %q, status %q", bad, body, status)
	}
}

// noPwn fails if an injected element stands anywhere in n.
func noPwn(t testing.TB, n *client.Node) {
	t.Helper()
	if n.Name.Local == "pwn" {
		t.Errorf("an injected element got through")
	}
	for _, k := range n.Kids {
		noPwn(t, k)
	}
}
