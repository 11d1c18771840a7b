package c2s_test

import (
	"testing"

	"github.com/parlance-im/parlance/edge/edgetest"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/xmpp/elem"
)

// inLanguage has a client's streams say a language ("-": none).
func inLanguage(lang string) func(*client.Options) {
	return func(o *client.Options) { o.Lang = lang }
}

// RFC 6120 §4.7.4: the session remembers the language of its present stream.
func TestLanguage_isTheSessions(t *testing.T) {
	b := start(t)
	for lang, want := range map[string]string{"de-CH": "de-CH", "": "en", "-": "", "no language": ""} {
		c := b.login("alice", "phone", inLanguage(lang))
		if got := b.core.Session(phone).Language(); got != want {
			t.Errorf("a stream in %q: the session speaks %q, want %q", lang, got, want)
		}
		c.Close()
	}
}

// A stream that begins anew says its language anew (RFC 6120 §4.3.3), and so does
// one that takes a session up again.
func TestLanguage_ofTheLastHeaderAndOfTheNewStream(t *testing.T) {
	b := start(t)
	ctx := t.Context()
	conn, err := client.Connect(ctx, b.direct, "acme.test", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.Lang = "fr"
	if err := conn.Secure(ctx, "xmpp-client"); err != nil {
		t.Fatal(err)
	}
	if err := conn.OpenStream(); err != nil {
		t.Fatal(err)
	}
	conn.Lang = "-" // says nothing the second time
	if err := conn.Auth("PLAIN", "alice", edgetest.Password); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Bind("phone"); err != nil {
		t.Fatal(err)
	}
	if got := b.core.Session(phone).Language(); got != "" {
		t.Errorf("the session speaks %q, which its stream did not say", got)
	}
	send(t, conn, enableSM)
	id := next(t, conn).Get("id")
	again := b.login("alice", "phone", inLanguage("cs"), func(o *client.Options) { o.SM, o.Resume = true, &client.Resume{ID: id} })
	if got := b.core.Session(phone).Language(); again.Resumed == nil || got != "cs" {
		t.Errorf("taken up again on a stream in cs, the session speaks %q", got)
	}
}

// RFC 6120 §4.7.4: our header always names a language, and it is one we speak.
func TestLanguage_ofTheAnswer(t *testing.T) {
	b := start(t)
	for _, h := range []string{
		" to='acme.test' xml:lang='en'", " to='acme.test' xml:lang='en-GB'", " to='acme.test' xml:lang='de'", " to='acme.test'",
		" to='acme.test' xml:lang='&lt;'", " to='elsewhere.test' xml:lang='de'", "",
	} {
		conn, err := client.Connect(t.Context(), b.addr, "acme.test", "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.Send("<stream:stream version='1.0'" + h + " xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"); err != nil {
			t.Fatal(err)
		}
		err = conn.ReadHeader() // its error, if any, is a stream error behind the header
		if conn.Header == nil {
			t.Fatalf("%q: no header: %v", h, err)
		}
		got := ""
		for _, a := range conn.Header.Attr {
			if a.Name.Local == "lang" && a.Name.Space == elem.XMLSpace {
				got = a.Value
			}
		}
		if got != "en" {
			t.Errorf("a header with %q is answered in %q", h, got)
		}
	}
}
