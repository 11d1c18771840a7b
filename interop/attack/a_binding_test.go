package attack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// transport is a way to the server under which -PLUS is offered.
type transport struct {
	name string
	addr func(*place) string
	alpn []string // of direct TLS; none: STARTTLS
	ws   bool
}

func transports() []transport {
	return []transport{
		{"STARTTLS", func(p *place) string { return p.C2S }, nil, false},
		{"direct TLS", func(p *place) string { return p.C2STLS }, []string{"xmpp-client"}, false},
		{"the HTTPS port", func(p *place) string { return p.HTTP }, []string{"xmpp-client"}, false},
		{"WebSocket", func(p *place) string { return p.HTTP }, []string{"http/1.1"}, true},
	}
}

// talker is a secured stream that waits for a login.
type talker struct {
	tls      *tls.Conn
	features *client.Node
	pass     string
	say      func(kind, mech, data string) (*client.Node, error)
	bind     func() (string, error)
}

// talk opens a stream at an address, which may be an interceptor's.
func (tr transport) talk(t testing.TB, addr string) *talker {
	t.Helper()
	if tr.ws {
		w := (&place{Server: &server.Server{HTTP: addr}}).websocket(t)
		return w.talker(t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c, err := client.Connect(ctx, addr, server.Domain, source())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if len(tr.alpn) > 0 {
		if err = c.Secure(ctx, tr.alpn...); err == nil {
			err = c.OpenStream()
		}
	} else if err = c.OpenStream(); err == nil {
		err = c.StartTLS(ctx)
	}
	if err != nil {
		t.Fatalf("%s: %v", tr.name, err)
	}
	return talkerOf(c)
}

func talkerOf(c *client.Conn) *talker {
	k := &talker{features: c.Features, pass: server.Password, say: c.SASL}
	k.tls, _ = c.Conn.(*tls.Conn)
	k.bind = func() (string, error) {
		if err := c.OpenStream(); err != nil {
			return "", err
		}
		return c.Bind("bound")
	}
	return k
}

func (w *websocket) talker(t testing.TB) *talker {
	t.Helper()
	read := func(mark string) (*client.Node, error) { return client.ParseNode(w.until(t, mark)) }
	w.text(t, wsOpen)
	features, err := read("</stream:features>")
	if err != nil {
		t.Fatal(err)
	}
	k := &talker{tls: w.Conn.(*tls.Conn), features: features, pass: server.Password}
	k.say = func(kind, mech, data string) (*client.Node, error) {
		w.text(t, "<"+kind+" xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='"+mech+"'>"+base64.StdEncoding.EncodeToString([]byte(data))+"</"+kind+">")
		return read("urn:ietf:params:xml:ns:xmpp-sasl")
	}
	k.bind = func() (string, error) {
		w.text(t, wsOpen)
		w.until(t, "</stream:features>")
		w.text(t, "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bound</resource></bind></iq>")
		n, err := read("<jid>")
		if err != nil {
			return "", err
		}
		return n.Path("bind", "jid").Text, nil
	}
	return k
}

func (k *talker) offers(suffix string) (out []string) {
	for _, m := range k.features.Kid("", "mechanisms").Kids {
		if strings.HasSuffix(m.Text, suffix) {
			out = append(out, m.Text)
		}
	}
	return out
}

// channel is what binds a login to the TLS connection, as a client sees it.
func (k *talker) channel(t testing.TB, kind string) []byte {
	t.Helper()
	state := k.tls.ConnectionState()
	switch kind {
	case "tls-exporter": // RFC 9266 §4
		b, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil {
			t.Fatal(err)
		}
		return b
	case "tls-server-end-point": // RFC 5929 §4.1
		cert := state.PeerCertificates[0]
		if cert.SignatureAlgorithm != x509.ECDSAWithSHA256 && cert.SignatureAlgorithm != x509.SHA256WithRSA {
			t.Fatalf("teach this test the hash of %v", cert.SignatureAlgorithm)
		}
		sum := sha256.Sum256(cert.Raw)
		return sum[:]
	}
	t.Fatalf("no channel binding %q", kind)
	return nil
}

// scramLogin logs in with a mechanism, a flag and what is said to be the
// channel's, and gives the server's last word. The password is right. confirm, if not
// empty, is the GS2 header repeated at the end instead of the one that was sent.
func (k *talker) scramLogin(t testing.TB, user, mech, flag string, data []byte, confirm string) *client.Node {
	t.Helper()
	gs2 := flag + ",,"
	bareMsg := "n=" + user + ",r=" + client.Token()
	n, err := k.say("auth", mech, gs2+bareMsg)
	if err != nil {
		t.Fatalf("%s %s: %v", mech, flag, err)
	}
	if n.Name.Local != "challenge" {
		return n
	}
	text, err := base64.StdEncoding.DecodeString(n.Text)
	if err != nil {
		t.Fatal(err)
	}
	if confirm == "" {
		confirm = gs2
	}
	final, err := boundFinal(mech, k.pass, bareMsg, string(text), append([]byte(confirm), data...))
	if err != nil {
		t.Fatal(err)
	}
	if n, err = k.say("response", mech, final); err != nil {
		t.Fatalf("%s %s: %v", mech, flag, err)
	}
	return n
}

// boundFinal is the last message of RFC 5802 §5 with anything in c=.
func boundFinal(mech, pass, bareMsg, challenge string, cbind []byte) (string, error) {
	h := sha256.New
	if strings.HasPrefix(mech, "SCRAM-SHA-1") {
		h = sha1.New
	}
	f := scramFields(challenge)
	var rounds int
	if _, err := fmt.Sscan(f["i"], &rounds); err != nil {
		return "", err
	}
	key, err := salted(h, pass, f["s"], rounds)
	if err != nil {
		return "", err
	}
	without := "c=" + base64.StdEncoding.EncodeToString(cbind) + ",r=" + f["r"]
	mac := func(key []byte, text string) []byte { m := hmac.New(h, key); m.Write([]byte(text)); return m.Sum(nil) }
	proof := mac(key, "Client Key")
	stored := h()
	stored.Write(proof)
	for i, b := range mac(stored.Sum(nil), bareMsg+","+challenge+","+without) {
		proof[i] ^= b
	}
	return without + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// verdict is "" for a login, which has to open the person's own session, else
// the failure's condition.
func (k *talker) verdict(t testing.TB, user string, n *client.Node) string {
	t.Helper()
	if n.Name.Local == "success" {
		if j, err := k.bind(); err != nil || j != bare(user)+"/bound" {
			t.Errorf("logged in as %s and bound to %q, %v", user, j, err)
		}
		return ""
	}
	if n.Name.Local != "failure" || len(n.Kids) == 0 {
		t.Errorf("%s: an answer that is none: %s", user, n)
		return "?"
	}
	return n.Kids[0].Name.Local
}

var (
	plusMechanisms = []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"}
	bindingTypes   = []string{"tls-exporter", "tls-server-end-point"}
)

// A3: who reads and changes everything in between, with a second certificate
// that clients believe, gets no login that is bound to its channel: not once.
func TestA3_stolenCertificateInterception(t *testing.T) {
	t.Parallel()
	p := target(t)
	mine := secondCertificate(t)
	stolen, err := tls.LoadX509KeyPair(filepath.Join(p.Dir, "data", "cert.pem"), filepath.Join(p.Dir, "data", "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	tried, refused := 0, 0
	for _, tr := range transports() {
		p.bindsDirectly(t, tr, p.person(t))
		for _, v := range []struct{ inner, outer uint16 }{{tls.VersionTLS13, tls.VersionTLS13}, {tls.VersionTLS12, tls.VersionTLS13}} {
			x := &interceptor{to: tr.addr(p), starttls: tr.alpn == nil, shown: mine, inner: v.inner, outer: v.outer, alpn: tr.alpn}
			addr, user := x.start(t), p.person(t) // ten wrong proofs make an account wait (A8)
			for _, mech := range plusMechanisms {
				for _, kind := range bindingTypes {
					k := tr.talk(t, addr)
					if !bytes.Equal(k.tls.ConnectionState().PeerCertificates[0].Raw, mine.Certificate[0]) {
						t.Fatal("the interceptor is not in between")
					}
					tried++
					n := k.scramLogin(t, user, mech, "p="+kind, k.channel(t, kind), "")
					if got := k.verdict(t, user, n); got != "not-authorized" {
						t.Errorf("%s, TLS %x and %x, %s %s through the interceptor: %s", tr.name, v.inner, v.outer, mech, kind, n)
					} else {
						refused++
					}
				}
			}
			// The interceptor carries logins; what fails is the binding alone.
			k := tr.talk(t, addr)
			if got := k.verdict(t, user, k.scramLogin(t, user, "SCRAM-SHA-256", "n", nil, "")); got != "" {
				t.Errorf("%s: a login that is bound to nothing fails too: %s; the trial shows nothing", tr.name, got)
			}
		}
		// With the server's own key as well, the certificate is the right one:
		// tls-exporter still tells the two connections apart.
		x := &interceptor{to: tr.addr(p), starttls: tr.alpn == nil, shown: stolen, inner: tls.VersionTLS13, outer: tls.VersionTLS13, alpn: tr.alpn}
		k, user := tr.talk(t, x.start(t)), p.person(t)
		tried++
		if got := k.verdict(t, user, k.scramLogin(t, user, "SCRAM-SHA-256-PLUS", "p=tls-exporter", k.channel(t, "tls-exporter"), "")); got != "not-authorized" {
			t.Errorf("%s, with the stolen key: %q", tr.name, got)
		} else {
			refused++
		}
		p.rebound(t, tr, mine, user)
	}
	t.Logf("%d of %d bound logins through an interceptor refused", refused, tried)
}

// bindsDirectly shows that what is refused in between is good without.
func (p *place) bindsDirectly(t *testing.T, tr transport, user string) {
	t.Helper()
	for _, mech := range plusMechanisms {
		for _, kind := range bindingTypes {
			k := tr.talk(t, tr.addr(p))
			var announced []string // XEP-0440 §3
			for _, c := range k.features.Kid("urn:xmpp:sasl-cb:0", "sasl-channel-binding").Kids {
				announced = append(announced, c.Get("type"))
			}
			if !slices.Contains(k.offers("-PLUS"), mech) || !slices.Contains(announced, kind) {
				t.Errorf("%s: offered %q with %q, which lacks %s or %s", tr.name, k.offers("-PLUS"), announced, mech, kind)
			}
			n := k.scramLogin(t, user, mech, "p="+kind, k.channel(t, kind), "")
			if got := k.verdict(t, user, n); got != "" {
				t.Errorf("%s, %s %s without an interceptor: %s", tr.name, mech, kind, n)
			}
		}
	}
}

// rebound is an interceptor that puts its own channel into the client's
// message: the proof covers what it has changed.
func (p *place) rebound(t *testing.T, tr transport, shown tls.Certificate, user string) {
	t.Helper()
	if tr.ws {
		return // the pieces are masked frames there; the exchange is the same code
	}
	edited := make(chan string, 4)
	x := &interceptor{to: tr.addr(p), starttls: tr.alpn == nil, shown: shown, inner: tls.VersionTLS13, outer: tls.VersionTLS13, alpn: tr.alpn}
	x.edit = func(outer *tls.Conn, toServer bool, piece []byte) []byte {
		if !toServer {
			return piece
		}
		return editSASL(piece, func(msg string) string {
			state := outer.ConnectionState()
			own, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
			c, rest, ok := strings.Cut(msg, ",r=")
			if err != nil || !ok || !strings.HasPrefix(c, "c=") {
				return msg
			}
			edited <- c
			return "c=" + base64.StdEncoding.EncodeToString(append([]byte("p=tls-exporter,,"), own...)) + ",r=" + rest
		})
	}
	k := tr.talk(t, x.start(t))
	n := k.scramLogin(t, user, "SCRAM-SHA-256-PLUS", "p=tls-exporter", k.channel(t, "tls-exporter"), "")
	if got := k.verdict(t, user, n); got != "not-authorized" || len(edited) != 1 {
		t.Errorf("%s: the interceptor put its own channel in (%d times): %s", tr.name, len(edited), n)
	}
}

var plusOffers = regexp.MustCompile(`<mechanism>[A-Z0-9-]+-PLUS</mechanism>`)

// A4: every combination of flag, offer and mechanism is decided, and a downgraded login fails.
func TestA4_bindingDowngrade(t *testing.T) {
	t.Parallel()
	p := target(t)
	t.Run("in between", p.downgradeInBetween)
	t.Run("flags", p.flagMatrix)
	t.Run("bindings that are none", p.bentBindings)
}

// downgradeInBetween takes -PLUS out of the offer: a client that could have used
// it finds that out, whatever else is changed afterwards.
func (p *place) downgradeInBetween(t *testing.T) {
	mine := secondCertificate(t)
	for _, c := range []struct {
		what, flag string
		first      func(string) string // done to the client's first message
		last       func(string) string // and to its last
		want       string
	}{
		{"the offer alone", "y", nil, nil, "not-authorized"},
		{"the offer and the flag", "y", func(m string) string { return "n" + m[1:] }, nil, "not-authorized"},
		{"the offer, the flag and its repetition", "y", func(m string) string { return "n" + m[1:] },
			func(m string) string { return strings.Replace(m, "c=eSws,", "c=biws,", 1) }, "not-authorized"},
		// RFC 5802 §6: a client that can't bind says so, and is let in.
		{"the offer, for a client that can't bind", "n", nil, nil, ""},
	} {
		for _, tr := range transports()[:3] {
			user := p.person(t) // ten wrong proofs make an account wait (A8)
			for _, mech := range []string{"SCRAM-SHA-256", "SCRAM-SHA-1"} {
				x := &interceptor{to: tr.addr(p), starttls: tr.alpn == nil, shown: mine, inner: tls.VersionTLS13, outer: tls.VersionTLS13, alpn: tr.alpn}
				x.edit = func(_ *tls.Conn, toServer bool, piece []byte) []byte {
					if !toServer {
						return plusOffers.ReplaceAll(piece, nil)
					}
					return editSASL(piece, func(msg string) string {
						switch {
						case strings.HasPrefix(msg, "c=") && c.last != nil:
							return c.last(msg)
						case !strings.HasPrefix(msg, "c=") && c.first != nil:
							return c.first(msg)
						}
						return msg
					})
				}
				k := tr.talk(t, x.start(t))
				if len(k.offers("-PLUS")) > 0 || len(k.offers("")) == 0 {
					t.Fatalf("%s: the offer is unchanged: %q", tr.name, k.offers(""))
				}
				n := k.scramLogin(t, user, mech, c.flag, nil, "")
				if got := k.verdict(t, user, n); got != c.want {
					t.Errorf("%s, %s, changed: %s: %q, want %q", tr.name, mech, c.what, got, c.want)
				}
			}
		}
	}
}

// flagRules is RFC 5802 §6, all of it: whether -PLUS is offered, whether it is
// chosen, and what the client's flag says. "" is a login.
var flagRules = []struct {
	offered, plus bool
	flag, want    string
}{
	{true, false, "n", ""},                   // the client can't bind
	{true, false, "y", "not-authorized"},     // it can, and saw no offer: somebody took it away
	{true, false, "p", "malformed-request"},  // bound, in a mechanism that does not bind
	{true, true, "n", "malformed-request"},   // not bound, in one that does
	{true, true, "y", "malformed-request"},   //
	{true, true, "p", ""},                    //
	{false, false, "n", ""},                  //
	{false, false, "y", ""},                  // it can, and there is indeed no offer
	{false, false, "p", "malformed-request"}, //
	{false, true, "n", "invalid-mechanism"},  // never offered
	{false, true, "y", "invalid-mechanism"},  //
	{false, true, "p", "invalid-mechanism"},  //
}

// flagMatrix tries all of them on connections with and without the offer.
func (p *place) flagMatrix(t *testing.T) {
	s := serveWithoutPlus(t)
	here := p.person(t)
	decided := 0
	for _, col := range []struct {
		what    string
		offered bool
		user    string
		open    func() *talker
	}{
		{"-PLUS offered", true, here, func() *talker { return talkerOf(p.at(t, secured, "")) }},
		{"-PLUS not configured", false, s.user, func() *talker { return s.open(t, true) }},
		{"no TLS", false, s.user, func() *talker { return s.open(t, false) }},
	} {
		if got := len(col.open().offers("-PLUS")) > 0; got != col.offered {
			t.Fatalf("%s: -PLUS is offered: %v", col.what, got)
		}
		for _, r := range flagRules {
			if r.offered != col.offered {
				continue
			}
			for _, mech := range []string{"SCRAM-SHA-256", "SCRAM-SHA-1"} {
				if r.plus {
					mech += "-PLUS"
				}
				k := col.open()
				flag, data := r.flag, []byte(nil)
				if flag == "p" {
					flag, data = "p=tls-exporter", make([]byte, 32)
					if k.tls != nil {
						data = k.channel(t, "tls-exporter")
					}
				}
				decided++
				n := k.scramLogin(t, col.user, mech, flag, data, "")
				if got := k.verdict(t, col.user, n); got != r.want {
					t.Errorf("%s, %s with flag %s: %q, want %q", col.what, mech, r.flag, got, r.want)
				}
			}
		}
	}
	t.Logf("%d combinations decided", decided)
}

// bentBindings are right passwords bound to something else than the channel.
func (p *place) bentBindings(t *testing.T) {
	for _, c := range []struct {
		what, flag, data, confirm string
		spoil                     bool
	}{
		{"another type than the data's", "p=tls-server-end-point", "tls-exporter", "", false},
		{"and the other way round", "p=tls-exporter", "tls-server-end-point", "", false},
		{"a bit changed", "p=tls-exporter", "tls-exporter", "", true},
		{"a bit changed", "p=tls-server-end-point", "tls-server-end-point", "", true},
		{"no data", "p=tls-exporter", "", "", false},
		{"a type that does not exist", "p=tls-nothing", "tls-exporter", "", false},
		{"a type that TLS 1.3 has not", "p=tls-unique", "tls-exporter", "", false},
		{"another flag repeated", "p=tls-exporter", "tls-exporter", "n,,", false},
		{"another type repeated", "p=tls-exporter", "tls-exporter", "p=tls-server-end-point,,", false},
		{"an authzid repeated that was not sent", "p=tls-exporter", "tls-exporter", "p=tls-exporter,a=somebody,", false},
	} {
		k, user := talkerOf(p.at(t, secured, "")), p.person(t)
		var data []byte
		if c.data != "" {
			data = k.channel(t, c.data)
		}
		if c.spoil {
			data[len(data)-1] ^= 1
		}
		n := k.scramLogin(t, user, "SCRAM-SHA-256-PLUS", c.flag, data, c.confirm)
		if got := k.verdict(t, user, n); got != "not-authorized" {
			t.Errorf("bound to %s: %s", c.what, n)
		}
	}
}
