package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// fastServer speaks just enough SASL2 and FAST for a login without TLS.
type fastServer struct {
	offer  string // content of the features' authentication
	forged bool   // it does not have the token
	logins [2]atomic.Int64
}

const aToken = "secret-token"

func (f *fastServer) serve(conn net.Conn) error {
	defer conn.Close()
	in := newInbox(conn, 1024)
	say := func(s string) { _, _ = conn.Write([]byte(s)) }
	say("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'><stream:features>" + f.offer + "</stream:features>")
	for {
		raw, err := in.next()
		if err != nil {
			return err
		}
		e, err := raw.Element()
		if err != nil {
			return err
		}
		switch e.Local {
		case "authenticate":
			say(f.answer(e))
			say("<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>")
		case "iq":
			say("<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>a@b/c</jid></bind></iq>")
		}
	}
}

func (f *fastServer) answer(e *elem.Element) string {
	got, _ := base64.StdEncoding.DecodeString(e.ChildText("initial-response"))
	mac := func(who string) []byte {
		m := hmac.New(sha256.New, []byte(aToken))
		m.Write([]byte(who))
		return m.Sum(nil)
	}
	agent := e.Child(sasl2Space, "user-agent")
	switch {
	case agent == nil || len(agent.Attr("id")) != 36:
	case e.Attr("mechanism") == "PLAIN" && string(got) == "\x00u1\x00pw" && e.Child(fastSpace, "request-token") != nil:
		f.logins[0].Add(1)
		return "<success xmlns='urn:xmpp:sasl:2'><token xmlns='urn:xmpp:fast:0' token='" + aToken + "' expiry='2030-01-01T00:00:00Z'/></success>"
	case e.Attr("mechanism") == "HT-SHA-256-NONE" && bytes.Equal(got, append([]byte("u1\x00"), mac("Initiator")...)) && e.Child(fastSpace, "fast") != nil:
		f.logins[1].Add(1)
		data := mac("Responder")
		if f.forged {
			data[0]++
		}
		return "<success xmlns='urn:xmpp:sasl:2'><additional-data>" + base64.StdEncoding.EncodeToString(data) + "</additional-data></success>"
	}
	return "<failure xmlns='urn:xmpp:sasl:2'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>"
}

func (f *fastServer) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = f.serve(c) }() // ends with the client's connection
		}
	}()
	return l.Addr().String()
}

const fastOffer = "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-NONE</mechanism></fast></inline></authentication>"

func TestFast_tokenAfterPassword(t *testing.T) {
	f := &fastServer{offer: fastOffer}
	d := &Dial{Addr: f.start(t), Domain: "b", Password: "pw", TLS: TLSNone, Read: 512, tokens: &tokens{of: map[string]*token{}}}
	for i := range 3 {
		c, err := d.Open(t.Context(), "u1", fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if with, token := f.logins[0].Load(), f.logins[1].Load(); with != 1 || token != 2 {
		t.Errorf("%d logins with the password, %d with the token; want 1, 2", with, token)
	}
	f.forged = true
	if _, err := d.Open(context.Background(), "u1", "x"); err == nil || !strings.Contains(err.Error(), "proof") {
		t.Errorf("a server without the token: %v", err)
	}
}

func TestFast_notOffered(t *testing.T) {
	for name, offer := range map[string]string{
		"SASL of old":   "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>",
		"SASL2 alone":   "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism></authentication>",
		"unknown hash":  strings.Replace(fastOffer, "HT-SHA-256-NONE", "HT-SHA3-512-NONE", 1),
		"another place": strings.Replace(fastOffer, "inline>", "outline>", 2),
	} {
		f := &fastServer{offer: offer}
		d := &Dial{Addr: f.start(t), Domain: "b", Password: "pw", TLS: TLSNone, Read: 512, tokens: &tokens{of: map[string]*token{}}}
		if _, err := d.Open(t.Context(), "u1", "x"); !errors.Is(err, errNotOffered) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
