package c2s

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// onNegotiate waits for STARTTLS or a login.
func onNegotiate(s *Stream, ctx context.Context, raw *elem.Raw) error {
	switch {
	case string(raw.Space) == stream.SASLSpace && string(raw.Local) == "auth":
		return s.nego.auth(ctx, raw)
	case string(raw.Space) == stream.TLSSpace && string(raw.Local) == "starttls" && !s.nego.secure && s.nego.canTLS():
		// RFC 6120 §5.4.2.3. What the client sent behind it is never looked at
		// (HARDENING A1): take refuses to go on then, before this is answered.
		return errStartTLS
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
	c := n.s.srv.sasl
	c.AllowPlain = n.plaintext()
	return c
}

func (n *negotiation) auth(ctx context.Context, raw *elem.Raw) error {
	mech := string(attr(raw, "mechanism"))
	n.mech = mech
	x, err := n.sasl().Start(mech, n.binding, n.s.srv.conf.Credentials(n.remote))
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
	msg, err := sasl.Decode(string(bytes.TrimSpace(raw.Buf[raw.Inner.Start:raw.Inner.End])))
	if err != nil {
		return n.refuse(err)
	}
	if msg == nil && string(raw.Local) == "response" {
		msg = []byte{} // an empty <response/> is an answer; an empty <auth/> is none yet
	}
	answer, done, err := n.exchange.Next(ctx, msg)
	switch {
	case err != nil:
		return n.refuse(err)
	case done:
		return n.welcome(answer)
	}
	return n.s.out.element(saslElement("challenge", answer), 0)
}

// saslElement writes an answer; nothing to say is written as "=" in <success/>
// where there is something to say that is empty, and as nothing in a challenge
// (RFC 6120 §6.4.2, §6.4.6).
func saslElement(name string, data []byte) []byte {
	b := append([]byte(nil), "<"+name+" xmlns='"+stream.SASLSpace+"'>"...)
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, "</"+name+">"...)
}

// welcome ends a login: the stream begins anew (RFC 6120 §6.4.6).
func (n *negotiation) welcome(answer []byte) error {
	n.s.srv.countLogin(n.mech, "success")
	n.s.who = n.exchange.JID()
	n.exchange = nil
	n.pass.Leave()
	n.s.restart()
	n.s.scan.Reset(n.s.srv.conf.Limits.Stanza)
	if answer == nil {
		return n.s.out.element([]byte("<success xmlns='"+stream.SASLSpace+"'/>"), 0)
	}
	return n.s.out.element(saslElement("success", answer), 0)
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
	n.exchange = nil
	n.s.step = onNegotiate
	b := append([]byte(nil), "<failure xmlns='"+stream.SASLSpace+"'><"+f.Condition+"/>"...)
	if f.Text != "" {
		b = append(b, "<text xml:lang='"+stream.Lang+"'>"...)
		b = append(elem.AppendText(b, f.Text), "</text>"...)
	}
	if err := n.s.out.element(append(b, "</failure>"...), 0); err != nil {
		return err
	}
	if n.failures++; n.failures >= n.s.srv.conf.Limits.Attempts {
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
