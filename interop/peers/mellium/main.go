// Command mellium tries mellium.im/xmpp as an independent client. It prints one
// line per step: "ok NAME detail" or "FAIL NAME why"; the last line is "done".
// The library knows no XEP-0198, so that step is not here.
package main

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/carbons"
	"mellium.im/xmpp/history"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/mux"
	"mellium.im/xmpp/receipts"
	"mellium.im/xmpp/stanza"
)

const wait = 20 * time.Second

var c2s, c2sTLS, domain, password string

type message struct {
	stanza.Message
	Body string `xml:"body"`
}

type presence struct {
	stanza.Presence
	Show string `xml:"show"`
}

// archived is a message of the archive. The library's own iterator hands out a
// reader on the stream that is gone by the time it is read, so its Fetch is used
// with a handler of our own.
type archived struct {
	Result struct {
		QueryID string `xml:"queryid,attr"`
		Body    string `xml:"forwarded>message>body"`
	} `xml:"urn:xmpp:mam:2 result"`
}

// person is one logged-in device.
type person struct {
	*xmpp.Session
	jid       jid.JID
	messages  chan message
	presences chan presence
	copies    chan string // "sent text" or "received text"
	receipts  *receipts.Handler
	archived  chan archived
}

func login(ctx context.Context, user string, direct bool) (*person, error) {
	// RFC 6120 §4.7.2: a server answers with the bare address; the library wants
	// to see the one it gave, so it gives the bare one and takes any resource.
	j, err := jid.New(user, domain, "")
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{ServerName: domain, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	addr := c2s
	features := []xmpp.StreamFeature{xmpp.SASL("", password, sasl.ScramSha256Plus, sasl.ScramSha256, sasl.ScramSha1Plus, sasl.ScramSha1), xmpp.BindResource()}
	if direct {
		addr = c2sTLS
		conf.NextProtos = []string{"xmpp-client"}
	} else {
		features = append(features, xmpp.StartTLS(conf))
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if direct {
		t := tls.Client(conn, conf)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = t
	}
	state := xmpp.SessionState(0)
	if direct {
		state = xmpp.Secure
	}
	s, err := xmpp.NewSession(ctx, j.Domain(), j, conn, state, xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
		return xmpp.StreamConfig{Lang: "en", Features: features}
	}))
	if err != nil {
		return nil, err
	}
	p := &person{Session: s, jid: s.LocalAddr(), messages: make(chan message, 100), presences: make(chan presence, 100), copies: make(chan string, 100), archived: make(chan archived, 100), receipts: &receipts.Handler{}}
	plain := mux.MessageHandlerFunc(func(_ stanza.Message, t xmlstream.TokenReadEncoder) error {
		var m message
		if err := xml.NewTokenDecoder(t).Decode(&m); err != nil && err != io.EOF {
			return err
		}
		p.messages <- m
		return nil
	})
	stored := mux.MessageHandlerFunc(func(_ stanza.Message, t xmlstream.TokenReadEncoder) error {
		var m archived
		if err := xml.NewTokenDecoder(t).Decode(&m); err != nil && err != io.EOF {
			return err
		}
		p.archived <- m
		return nil
	})
	seen := mux.PresenceHandlerFunc(func(_ stanza.Presence, t xmlstream.TokenReadEncoder) error {
		var m presence
		if err := xml.NewTokenDecoder(t).Decode(&m); err != nil && err != io.EOF {
			return err
		}
		p.presences <- m
		return nil
	})
	copied := carbons.Handler{F: func(_ stanza.Message, sent bool, inner xml.TokenReader) error {
		var m message
		if err := xml.NewTokenDecoder(inner).Decode(&m); err != nil && err != io.EOF {
			return err
		}
		kind := "received "
		if sent {
			kind = "sent "
		}
		p.copies <- kind + m.Body
		return nil
	}}
	m := mux.New(stanza.NSClient,
		mux.Message(stanza.ChatMessage, xml.Name{Local: "body"}, plain),
		mux.Presence(stanza.AvailablePresence, xml.Name{}, seen),
		receipts.Handle(p.receipts), carbons.Handle(copied),
		mux.Message("", xml.Name{Space: history.NS, Local: "result"}, stored),
		mux.Message(stanza.NormalMessage, xml.Name{Space: history.NS, Local: "result"}, stored))
	go func() { _ = s.Serve(m) }()
	return p, s.Send(ctx, stanza.Presence{Type: stanza.AvailablePresence}.Wrap(nil))
}

func (p *person) say(ctx context.Context, to jid.JID, body string) error {
	return p.Encode(ctx, message{Message: stanza.Message{To: to, Type: stanza.ChatMessage}, Body: body})
}

func take[T any](ctx context.Context, ch chan T, what string, accept func(T) bool) (T, error) {
	for {
		select {
		case x := <-ch:
			if accept(x) {
				return x, nil
			}
		case <-ctx.Done():
			var none T
			return none, fmt.Errorf("no %s came", what)
		}
	}
}

type world struct{ alice, bob, second *person }

func (w *world) starttls(ctx context.Context) (s string, err error) {
	w.alice, err = login(ctx, "alice", false)
	if err != nil {
		return "", err
	}
	return w.alice.jid.String(), nil
}

func (w *world) direct(ctx context.Context) (s string, err error) {
	w.bob, err = login(ctx, "bob", true)
	if err != nil {
		return "", err
	}
	return w.bob.jid.String(), nil
}

func (w *world) presence(ctx context.Context) (string, error) {
	if _, err := take(ctx, w.alice.presences, "presence of bob", func(p presence) bool { return p.From.Equal(w.bob.jid) }); err != nil {
		return "", err
	}
	if _, err := take(ctx, w.bob.presences, "presence of alice", func(p presence) bool { return p.From.Equal(w.alice.jid) }); err != nil {
		return "", err
	}
	if err := w.bob.Send(ctx, stanza.Presence{Type: stanza.AvailablePresence}.Wrap(
		xmlstream.Wrap(xmlstream.Token(xml.CharData("xa")), xml.StartElement{Name: xml.Name{Local: "show"}}))); err != nil {
		return "", err
	}
	_, err := take(ctx, w.alice.presences, "xa of bob", func(p presence) bool { return p.From.Equal(w.bob.jid) && p.Show == "xa" })
	return "", err
}

func (w *world) chat(ctx context.Context) (string, error) {
	if err := w.alice.say(ctx, w.bob.jid.Bare(), "hello bob <&> ö 🙂"); err != nil {
		return "", err
	}
	m, err := take(ctx, w.bob.messages, "message", func(m message) bool { return m.Body == "hello bob <&> ö 🙂" })
	if err != nil {
		return "", err
	}
	if !m.From.Equal(w.alice.jid) {
		return "", fmt.Errorf("from %v", m.From)
	}
	if err := w.bob.say(ctx, m.From, "hello alice"); err != nil {
		return "", err
	}
	_, err = take(ctx, w.alice.messages, "answer", func(m message) bool { return m.Body == "hello alice" })
	return "", err
}

func (w *world) receipt(ctx context.Context) (string, error) {
	body := xmlstream.Wrap(xmlstream.Token(xml.CharData("got it?")), xml.StartElement{Name: xml.Name{Local: "body"}})
	return "", w.alice.receipts.SendMessageElement(ctx, w.alice.Session, body, stanza.Message{To: w.bob.jid, Type: stanza.ChatMessage})
}

func (w *world) carbons(ctx context.Context) (_ string, err error) {
	if w.second, err = login(ctx, "alice", false); err != nil {
		return "", err
	}
	if err := carbons.Enable(ctx, w.second.Session); err != nil {
		return "", err
	}
	if err := w.alice.say(ctx, w.bob.jid, "copy me"); err != nil {
		return "", err
	}
	if _, err := take(ctx, w.second.copies, "sent carbon", func(s string) bool { return s == "sent copy me" }); err != nil {
		return "", err
	}
	if err := w.bob.say(ctx, w.alice.jid, "copy me too"); err != nil {
		return "", err
	}
	_, err = take(ctx, w.second.copies, "received carbon", func(s string) bool { return s == "received copy me too" })
	return "", err
}

func (w *world) mam(ctx context.Context) (string, error) {
	for i := range 5 {
		if err := w.alice.say(ctx, w.bob.jid.Bare(), fmt.Sprintf("page %d", i)); err != nil {
			return "", err
		}
	}
	if _, err := take(ctx, w.bob.messages, "message", func(m message) bool { return m.Body == "page 4" }); err != nil {
		return "", err
	}
	var bodies []string
	after := ""
	for pages := 1; ; pages++ {
		id := fmt.Sprintf("query-%d", pages)
		res, err := history.Fetch(ctx, history.Query{ID: id, With: w.alice.jid.Bare(), Limit: 2, PageID: after}, w.bob.jid.Bare(), w.bob.Session)
		if err != nil {
			return "", err
		}
		for more := true; more; { // the results stand before the answer in the stream
			select {
			case m := <-w.bob.archived:
				if m.Result.QueryID == id {
					bodies = append(bodies, m.Result.Body)
				}
			default:
				more = false
			}
		}
		if res.Complete {
			n := 0
			for _, b := range bodies {
				if b == fmt.Sprintf("page %d", n) {
					n++
				}
			}
			if n != 5 || pages < 3 {
				return "", fmt.Errorf("%d pages: %q", pages, bodies)
			}
			return fmt.Sprintf("%d messages on %d pages", len(bodies), pages), nil
		}
		after = res.Set.Last
	}
}

func main() {
	c2s, c2sTLS, domain, password = os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	w := &world{}
	for _, s := range []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"login-starttls", w.starttls}, {"login-direct-tls", w.direct}, {"presence", w.presence}, {"chat", w.chat},
		{"receipts", w.receipt}, {"carbons", w.carbons}, {"mam", w.mam},
	} {
		func() {
			ctx, cancel := context.WithTimeout(context.Background(), wait)
			defer cancel()
			defer func() {
				if r := recover(); r != nil { // a step that failed leaves the next ones without their person
					fmt.Println("FAIL", s.name, r)
				}
			}()
			if detail, err := s.run(ctx); err != nil {
				fmt.Println("FAIL", s.name, err)
			} else {
				fmt.Println("ok", s.name, detail)
			}
		}()
	}
	fmt.Println("done")
}
