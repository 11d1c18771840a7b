package sasl

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// proof is a peer's message, written for the tests alone.
func proof(user, token, side string, binding []byte) []byte {
	m := hmac.New(sha256.New, []byte(token))
	m.Write(append([]byte(side), binding...))
	if side == "Responder" {
		return m.Sum(nil)
	}
	return append([]byte(user+"\x00"), m.Sum(nil)...)
}

func TestToken_logins(t *testing.T) {
	phone := Use{Device: "phone"}
	for _, c := range []struct {
		name, mech string
		b          Binding
		use        Use
		message    []byte
		want       string // "": login
		due        bool
	}{
		{"the new one", HTNone, tls13, phone, proof("alice", "new "+HTNone, "Initiator", nil), "", false},
		{"the current one", HTNone, tls13, phone, proof("alice", "current "+HTNone, "Initiator", nil), "", true},
		{"another spelling of the name", HTNone, tls13, phone, proof("Alice@ACME.test", "new "+HTNone, "Initiator", nil), "", false},
		{"bound to the channel", HTExporter, tls13, phone, proof("alice", "new "+HTExporter, "Initiator", tls13.Exporter), "", false},
		{"bound to the certificate", HTEndPoint, tls13, phone, proof("alice", "new "+HTEndPoint, "Initiator", tls13.EndPoint), "", false},
		{"bound to another channel (HARDENING A3)", HTExporter, tls13, phone, proof("alice", "new "+HTExporter, "Initiator", tls13.EndPoint), NotAuthorized, false},
		{"not bound", HTExporter, tls13, phone, proof("alice", "new "+HTExporter, "Initiator", nil), NotAuthorized, false},
		{"token of another mechanism (XEP-0484 §3.4)", HTNone, tls13, phone, proof("alice", "new "+HTExporter, "Initiator", nil), NotAuthorized, false},
		{"another device", HTNone, tls13, Use{Device: "desk"}, proof("alice", "new "+HTNone, "Initiator", nil), NotAuthorized, false},
		{"no device", HTNone, tls13, Use{}, proof("alice", "new "+HTNone, "Initiator", nil), MalformedRequest, false},
		{"somebody else's", HTNone, tls13, phone, proof("bob", "new "+HTNone, "Initiator", nil), NotAuthorized, false},
		{"nobody", HTNone, tls13, phone, proof("nobody", "new "+HTNone, "Initiator", nil), NotAuthorized, false},
		{"another domain", HTNone, tls13, phone, proof("alice@b.test", "new "+HTNone, "Initiator", nil), NotAuthorized, false},
		{"the server's side said back", HTNone, tls13, phone, append([]byte("alice\x00"), proof("", "new "+HTNone, "Responder", nil)...), NotAuthorized, false},
		{"no proof", HTNone, tls13, phone, []byte("alice\x00"), MalformedRequest, false},
		{"no name", HTNone, tls13, phone, proof("", "new "+HTNone, "Initiator", nil), MalformedRequest, false},
		{"nothing", HTNone, tls13, phone, nil, MalformedRequest, false},
		{"bad UTF-8", HTNone, tls13, phone, proof("al\xffice", "new "+HTNone, "Initiator", nil), MalformedRequest, false},
		{"no such binding here", HTExporter, tls12, phone, nil, InvalidMechanism, false},
		{"without TLS", HTNone, plainB, phone, nil, InvalidMechanism, false},
		{"unknown", "HT-SHA-256-UNIQ", tls13, phone, nil, InvalidMechanism, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPeople()
			x, err := conf().StartToken(c.mech, c.b, c.use, p)
			if err != nil {
				wantCondition(t, err, c.want)
				return
			}
			answer, done, err := x.Next(t.Context(), c.message)
			if c.want != "" {
				wantCondition(t, err, c.want)
				if !x.JID().IsZero() || done {
					t.Errorf("%v %v", x.JID(), done)
				}
				return
			}
			if err != nil || !done || x.JID() != jid.MustParse("alice@acme.test") || x.Due() != c.due {
				t.Fatalf("%v %v %v due %v", err, done, x.JID(), x.Due())
			}
			which := map[bool]string{false: "new ", true: "current "}[c.due]
			data, _ := c.b.token(c.mech)
			if string(answer) != string(proof("", which+c.mech, "Responder", data)) {
				t.Error("the server's proof is wrong")
			}
			if _, _, err := x.Next(t.Context(), c.message); err == nil {
				t.Error("twice")
			}
		})
	}
}

// HARDENING A6: who does not exist is refused in the same words, after the same work.
func TestToken_unknownPeopleLookLikeAWrongToken(t *testing.T) {
	var texts []string
	for _, user := range []string{"alice", "nobody", "bob"} {
		p := newPeople()
		x, _ := conf().StartToken(HTNone, tls13, Use{Device: "phone"}, p)
		_, _, err := x.Next(t.Context(), proof(user, "guess", "Initiator", nil))
		texts = append(texts, wantCondition(t, err, NotAuthorized).Text)
		if len(p.outcomes) != 1 || p.outcomes[0] {
			t.Errorf("%s: outcomes %v", user, p.outcomes)
		}
	}
	if strings.Join(texts, "") != strings.Repeat(texts[0], 3) {
		t.Errorf("%q", texts)
	}
}

func TestToken_whatIsOffered(t *testing.T) {
	for _, c := range []struct {
		b    Binding
		want string
	}{
		{tls13, HTExporter + " " + HTEndPoint + " " + HTNone}, {tls12, HTNone}, {plainB, ""},
		{Binding{Exporter: []byte("x")}, ""},
	} {
		if got := strings.Join(c.b.TokenMechanisms(), " "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
