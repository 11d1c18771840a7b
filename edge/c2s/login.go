package c2s

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// onNegotiate waits for STARTTLS or a login.
func onNegotiate(s *Stream, ctx context.Context, raw *elem.Raw) error {
	switch {
	case string(raw.Space) == stream.SASLSpace && string(raw.Local) == "auth":
		return s.nego.auth(ctx, raw)
	case string(raw.Space) == stream.SASL2Space && string(raw.Local) == "authenticate" && s.nego.secure:
		return s.nego.authenticate(ctx, raw)
	case string(raw.Space) == stream.TLSSpace && string(raw.Local) == "starttls" && !s.nego.secure && s.nego.canTLS():
		// RFC 6120 §5.4.2.3. What the client sent behind it is never looked at
		// (HARDENING A1): take refuses to go on then, before this is answered.
		return errStartTLS
	}
	if registers(s.nego, raw) {
		return register(ctx, s.nego, raw)
	}
	if string(raw.Space) == stream.SMSpace && (string(raw.Local) == "enable" || string(raw.Local) == "resume") {
		return s.failed("unexpected-request", nil) // XEP-0198 §3, §5: after the login; the stream goes on
	}
	return notYet()
}

// notYet is RFC 6120 §4.9.3.12.
func notYet() error {
	return stream.Fail("not-authorized", "Log in before you send anything else.")
}

func injected() error {
	return stream.Fail("policy-violation", "Nothing may follow <starttls/> before TLS (RFC 6120 §5.3.3).")
}

// sasl is what a login on this connection may be.
func (n *negotiation) sasl() sasl.Config {
	c := n.s.host.sasl
	c.AllowPlain = n.plaintext()
	if a := n.s.srv.conf.Upgrades; a != nil {
		c.Without = a.Lacking()
	}
	return c
}

// announced is the same, as it was when the client was told.
func (n *negotiation) announced() sasl.Config {
	c := n.sasl()
	if len(n.said.Mechanisms) > 0 {
		c.Announced = &n.said
	}
	return c
}

func (n *negotiation) auth(ctx context.Context, raw *elem.Raw) error {
	mech := string(attr(raw, "mechanism"))
	n.mech = mech
	n.creds = n.s.srv.conf.Credentials(n.remote)
	x, err := n.announced().Start(mech, n.binding, n.creds)
	if err != nil {
		return n.refuse(err)
	}
	n.exchange, n.login = x, time.Now()
	n.s.step = onResponse
	return n.answer(ctx, raw)
}

// onResponse is in the middle of a login (RFC 6120 §6.4).
func onResponse(s *Stream, ctx context.Context, raw *elem.Raw) error {
	if string(raw.Space) != stream.SASLSpace {
		return notYet()
	}
	switch string(raw.Local) {
	case "response":
		return s.nego.answer(ctx, raw)
	case "abort": // RFC 6120 §6.4.4
		return s.nego.refuse(sasl.Fail(sasl.Aborted, ""))
	}
	return s.nego.refuse(sasl.Fail(sasl.MalformedRequest, "A <response/> or <abort/> is due."))
}

// answer gives the peer's message to the mechanism and writes its answer.
func (n *negotiation) answer(ctx context.Context, raw *elem.Raw) error {
	if len(raw.Kids) > 0 {
		return n.refuse(sasl.Fail(sasl.MalformedRequest, "No elements belong in there."))
	}
	msg, err := sasl.Decode(text(raw))
	if err != nil {
		return n.refuse(err)
	}
	if msg == nil && string(raw.Local) == "response" {
		msg = []byte{} // an empty <response/> is an answer; an empty <auth/> is none yet
	}
	return n.next(ctx, msg)
}

// text is the content of an element without children.
func text(raw *elem.Raw) string {
	return string(bytes.TrimSpace(raw.Buf[raw.Inner.Start:raw.Inner.End]))
}

// next goes on with the exchange; msg is nil if the client sent nothing.
func (n *negotiation) next(ctx context.Context, msg []byte) error {
	answer, done, err := n.exchange.Next(ctx, msg)
	if done && n.mech == sasl.Anonymous {
		n.s.guest = n.exchange.JID()
	}
	switch {
	case err != nil:
		return n.refuse(err)
	case done && n.ask != nil:
		return n.ask.proven(ctx, answer)
	case done:
		return n.welcome(answer)
	}
	return n.s.out.element(saslElement(n.space(), "challenge", answer), 0)
}

// space is the namespace of the profile in use.
func (n *negotiation) space() string {
	if n.ask != nil {
		return stream.SASL2Space
	}
	return stream.SASLSpace
}

// saslElement writes an answer; nothing to say is written as "=" in <success/>
// where there is something to say that is empty, and as nothing in a challenge
// (RFC 6120 §6.4.2, §6.4.6).
func saslElement(space, name string, data []byte) []byte {
	b := append([]byte(nil), "<"+name+" xmlns='"+space+"'>"...)
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, "</"+name+">"...)
}

// welcome ends a login: the stream begins anew (RFC 6120 §6.4.6).
func (n *negotiation) welcome(answer []byte) error {
	n.s.srv.countLogin(n.mech, "success")
	n.s.who = n.exchange.JID()
	n.identify()
	n.exchange = nil
	if !n.pass.Leave() {
		return edge.ErrCrowded
	}
	n.s.restart()
	n.s.scan.Reset(stanzaLimits(n.s))
	if answer == nil {
		return n.s.out.element([]byte("<success xmlns='"+stream.SASLSpace+"'/>"), 0)
	}
	return n.s.out.element(saslElement(stream.SASLSpace, "success", answer), 0)
}

// identify makes a browser the device of a login whose client has named none.
func (n *negotiation) identify() {
	if b, ok := n.creds.(browsers); ok && n.device == "" {
		n.device = b.Browser()
	}
}

// dismiss is the end of a guest.
func dismiss(s *Stream) {
	if !s.guest.IsZero() {
		s.srv.conf.Guests.Leave(s.guest)
		s.guest = jid.JID{}
	}
}

// restart waits for a new header (RFC 6120 §4.3.3).
func (s *Stream) restart() {
	s.step = onHeader
	s.open = false
}

// refuse ends an attempt to log in (RFC 6120 §6.4.5); too many end the stream.
func (n *negotiation) refuse(err error) error {
	f, ok := errors.AsType[*sasl.Failure](err)
	if !ok {
		return n.s.internal(err)
	}
	if f.Condition == sasl.TemporaryAuthFailure && f.Cause != nil {
		n.s.srv.conf.Log.Error("login is not possible", "error", f.Cause)
	}
	// For whoever watches the log for guessing; what was guessed is not told.
	n.s.srv.conf.Log.Info("login refused", "remote", n.s.out.base.RemoteAddr().String(), "condition", f.Condition)
	n.s.srv.countLogin(n.mech, f.Condition)
	b := append([]byte(nil), "<failure xmlns='"+n.space()+"'><"+f.Condition...)
	if n.ask != nil {
		b = append(b, " xmlns='"+stream.SASLSpace+"'"...) // XEP-0388 §2.6.2
	}
	b = append(b, "/>"...)
	if f.Also != "" {
		b = append(b, "<"+f.Also+" xmlns='"+stanza.ErrorSpace+"'/>"...)
	}
	if f.Text != "" {
		b = append(b, "<text xml:lang='"+stream.Lang+"'>"...)
		b = append(elem.AppendText(b, f.Text), "</text>"...)
	}
	n.exchange, n.ask, n.device, n.creds = nil, nil, "", nil
	dismiss(n.s)
	n.s.step = onNegotiate
	if err := n.s.out.element(append(b, "</failure>"...), 0); err != nil {
		return err
	}
	// RFC 6120 §6.4.5: two to five attempts. Some clients go through all mechanisms
	// with a binding TLS 1.3 does not have before one without; these are not attempts, but no endless way either.
	if n.refusals++; !f.Untried {
		n.failures++
	}
	if most := n.s.srv.conf.Limits.Attempts; n.failures >= most || n.refusals >= 4*most {
		return stream.Fail("policy-violation", "Too many failed logins on this connection.")
	}
	return nil
}

// attr is an attribute without namespace; nil if absent.
func attr(raw *elem.Raw, name string) []byte {
	for i := range raw.Attrs {
		if len(raw.Attrs[i].Prefix) == 0 && string(raw.Attrs[i].Local) == name {
			return raw.Attrs[i].Value
		}
	}
	return nil
}
