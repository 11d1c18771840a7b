package sasl

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// scramExchange runs RFC 5802. The library does the nonce and the grammar of
// the first message; the rules about the peer's channel binding flag, the
// authorization identity and unknown accounts are here, and so is the proof: the
// library's own can't know what XEP-0474 adds to the server's first message,
// which is part of what is proven.
type scramExchange struct {
	conf    Config
	hash    Hash
	plus    bool // a -PLUS mechanism was chosen
	offered bool // a -PLUS mechanism was on offer
	binding Binding
	creds   Credentials

	conv *scram.ServerConversation
	gs2  string // the header, as it came
	bare string // client-first-message-bare
	line string // server-first-message
	data []byte // what the channel is bound to; nil without
	keys Keys
	who  jid.JID
	end  bool
	ok   bool
}

func newScram(c Config, mech string, b Binding, creds Credentials) *scramExchange {
	x := &scramExchange{conf: c, hash: hashOf(mech), binding: b, creds: creds}
	x.plus = strings.HasSuffix(mech, "-PLUS")
	for _, m := range c.announced(b) {
		x.offered = x.offered || strings.HasSuffix(m, "-PLUS")
	}
	return x
}

func (x *scramExchange) JID() jid.JID {
	if !x.ok {
		return jid.JID{}
	}
	return x.who
}

func (x *scramExchange) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if x.end {
		return nil, false, Fail(MalformedRequest, "The exchange is over.")
	}
	if x.conv == nil {
		if response == nil {
			return []byte{}, false, nil
		}
		return x.first(ctx, string(response))
	}
	return x.final(string(response))
}

// refuse ends the exchange.
func (x *scramExchange) refuse(f *Failure) ([]byte, bool, error) {
	x.end = true
	return nil, false, f
}

func (x *scramExchange) first(ctx context.Context, msg string) ([]byte, bool, error) {
	h, bare, user, err := parseFirst(msg)
	if err != nil {
		return x.refuse(&Failure{Condition: MalformedRequest, Text: "Malformed SCRAM message.", Cause: err})
	}
	data, f := x.bind(h)
	if f != nil {
		f.Untried = true
		return x.refuse(f)
	}
	who, f := x.conf.account(user)
	if f != nil {
		return x.refuse(f)
	}
	if f := authorize(h.authzid, who); f != nil {
		return x.refuse(f)
	}
	if x.keys, err = x.creds.SCRAM(ctx, who, x.hash); err != nil {
		return x.refuse(failure(err))
	}
	x.who = who
	if x.conv, err = x.converse(data); err != nil {
		return x.refuse(failure(err))
	}
	answer, err := x.conv.Step(msg)
	if err != nil {
		return x.refuse(&Failure{Condition: MalformedRequest, Text: "Malformed SCRAM message.", Cause: err})
	}
	if a := x.conf.Announced; a != nil {
		answer += ",h=" + a.hash(x.hash)
	}
	x.gs2, x.bare, x.line, x.data = msg[:len(msg)-len(bare)], bare, answer, data.Data
	return []byte(answer), false, nil
}

// bind applies the flag rules of RFC 5802 §6 (HARDENING A4).
func (x *scramExchange) bind(h header) (scram.ChannelBinding, *Failure) {
	var none scram.ChannelBinding
	switch {
	case x.plus && h.flag != 'p':
		return none, Fail(MalformedRequest, "A -PLUS mechanism needs channel binding.")
	case x.plus:
		data := x.binding.data(h.binding)
		if data == nil {
			return none, Fail(NotAuthorized, "This type of channel binding is not available.")
		}
		return scram.ChannelBinding{Type: scram.ChannelBindingType(h.binding), Data: data}, nil
	case h.flag == 'p':
		return none, Fail(MalformedRequest, "Channel binding needs a -PLUS mechanism.")
	case h.flag == 'y' && x.offered:
		// RFC 5802 §6: the peer would have used -PLUS, had it seen our offer.
		// Somebody in between took it away.
		return none, Fail(NotAuthorized, "The list of mechanisms was tampered with on the way to you.")
	}
	return none, nil
}

func (x *scramExchange) converse(cb scram.ChannelBinding) (*scram.ServerConversation, error) {
	srv, err := scram.HashGeneratorFcn(x.hash.new()).NewServer(func(string) (scram.StoredCredentials, error) {
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(x.keys.Salt), Iters: x.keys.Iterations},
			StoredKey:  x.keys.StoredKey,
			ServerKey:  x.keys.ServerKey,
		}, nil
	})
	if err != nil {
		return nil, err
	}
	if x.conf.nonce != nil {
		srv.WithNonceGenerator(x.conf.nonce)
	}
	if x.plus {
		return srv.NewConversationWithChannelBindingRequired(cb), nil
	}
	return srv.NewConversation(), nil
}

func (x *scramExchange) final(msg string) ([]byte, bool, error) {
	x.end = true
	answer, err := x.prove(msg)
	// One path for known, unknown and disabled accounts: all have done the same
	// work when the verdict falls (HARDENING A6).
	proven := err == nil && x.keys.Known
	if x.keys.Verdict != nil {
		if err := x.keys.Verdict(proven); err != nil {
			return x.refuse(failure(err))
		}
	}
	switch {
	case !proven:
		f := Denied()
		f.Cause = err
		if err == nil {
			f.Cause = errors.New("no such account")
		}
		return x.refuse(f)
	case x.keys.Disabled:
		return x.refuse(Fail(AccountDisabled, "This account is disabled.")) // RFC 6120 §6.5.2
	}
	x.ok = true
	return []byte(answer), true, nil
}

// prove checks the client's proof and makes the server's signature (RFC 5802 §3).
func (x *scramExchange) prove(msg string) (answer string, err error) {
	without, proof, err := x.parseFinal(msg)
	if err != nil {
		return "", err
	}
	auth := x.bare + "," + x.line + "," + without
	key := x.hash.mac(x.keys.StoredKey, auth)
	if len(proof) != len(key) {
		return "", errors.New("a proof of another length")
	}
	subtle.XORBytes(key, key, proof)
	if subtle.ConstantTimeCompare(x.hash.sum(key), x.keys.StoredKey) != 1 {
		return "", errors.New("wrong proof")
	}
	return "v=" + base64.StdEncoding.EncodeToString(x.hash.mac(x.keys.ServerKey, auth)), nil
}

// parseFinal takes the proof from a client-final message, and checks that the
// rest of it repeats the header, the binding and the nonce (RFC 5802 §5.1, §7).
func (x *scramExchange) parseFinal(msg string) (without string, proof []byte, err error) {
	i := strings.LastIndex(msg, ",p=")
	if i < 0 {
		return "", nil, errors.New("no proof")
	}
	without = msg[:i]
	fields := strings.Split(without, ",")
	nonce, _, _ := strings.Cut(x.line, ",") // with its name: r=…
	switch cbind, ok := strings.CutPrefix(fields[0], "c="); {
	case !ok || len(fields) < 2:
		return "", nil, errors.New("malformed final message")
	case slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, "m=") }):
		return "", nil, errors.New("an extension that must be understood") // RFC 5802 §5.1
	case subtle.ConstantTimeCompare([]byte(fields[1]), []byte(nonce)) != 1:
		return "", nil, errors.New("another nonce")
	case subtle.ConstantTimeCompare([]byte(cbind), []byte(base64.StdEncoding.EncodeToString(append([]byte(x.gs2), x.data...)))) != 1:
		return "", nil, errors.New("another header or channel")
	}
	proof, err = base64.StdEncoding.Strict().DecodeString(msg[i+len(",p="):])
	return without, proof, err
}

// parseFirst takes the GS2 header and the user name from a client-first
// message and checks what the library leaves open (RFC 5802 §7).
func parseFirst(msg string) (h header, bare, user string, err error) {
	h, bare, err = parseHeader(msg)
	if err != nil {
		return h, "", "", err
	}
	name, rest, _ := strings.Cut(bare, ",")
	name, ok := strings.CutPrefix(name, "n=")
	if user, valid := unescape(name); ok && valid && user != "" {
		nonce, _, _ := strings.Cut(rest, ",")
		nonce, ok = strings.CutPrefix(nonce, "r=")
		if !ok || !printable(nonce) {
			return h, "", "", errors.New("malformed nonce")
		}
		return h, bare, user, nil
	}
	return h, "", "", errors.New("malformed user name")
}

// printable is 1*(%x21-2B / %x2D-7E) of RFC 5802 §7.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e || s[i] == ',' {
			return false
		}
	}
	return s != ""
}
