package c2s

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// request is what an <authenticate/> asks for beside the login (XEP-0388 §2.3).
type request struct {
	n        *negotiation
	device   account.Device
	resume   *elem.Element // XEP-0198 §9.2; nil: not asked for, as with those below
	bind     *elem.Element // XEP-0386 §3.2
	fast     *elem.Element // XEP-0484 §3.4: the login is by a token
	want     string        // XEP-0484 §3.2: the mechanism a token is wanted for
	upgrades []sasl.Hash   // XEP-0480 §2.2: still to be done
	task     *task         // the one under way
	data     []byte        // additional data of the login, if it was not told yet
}

// authenticate begins a login over XEP-0388.
func (n *negotiation) authenticate(ctx context.Context, raw *elem.Raw) error {
	el, err := raw.Element()
	if err != nil {
		return syntax(err)
	}
	n.mech, n.login, n.ask = el.Attr("mechanism"), time.Now(), &request{n: n}
	if f := n.ask.read(el); f != nil {
		return n.refuse(f)
	}
	n.device = n.ask.device.ID
	n.exchange, err = n.ask.begin()
	if err != nil {
		return n.refuse(err)
	}
	n.s.step = onSASL2
	r := el.Child(stream.SASL2Space, "initial-response")
	if r == nil {
		return n.next(ctx, nil)
	}
	msg, err := decode(r.Text)
	if err != nil {
		return n.refuse(err)
	}
	return n.next(ctx, msg)
}

// begin starts the mechanism.
func (r *request) begin() (sasl.Exchange, error) {
	n := r.n
	n.creds = n.s.srv.conf.Credentials(n.remote)
	if r.fast == nil {
		return n.announced().Start(n.mech, n.binding, n.creds)
	}
	u, f := r.use()
	if f != nil {
		return nil, f
	}
	x, err := n.announced().StartToken(n.mech, n.binding, u, n.creds)
	if err != nil {
		return nil, err
	}
	return x, nil
}

// decode reads data, where an empty element is an empty message (XEP-0388 §2.2).
func decode(text string) ([]byte, error) {
	if text = strings.TrimSpace(text); text == "" || text == "=" {
		return []byte{}, nil
	}
	return sasl.Decode(text)
}

// read takes what is asked for. What we don't know is nothing to us.
func (r *request) read(el *elem.Element) *sasl.Failure {
	for _, k := range el.Children {
		switch k.Space + " " + k.Local {
		case stream.SASL2Space + " user-agent":
			id, ok := deviceID(k.Attr("id"))
			if !ok {
				return sasl.Fail(sasl.MalformedRequest, "The id of a user agent is a UUID (XEP-0388 §2.3).")
			}
			r.device.ID = id
			r.device.Software, r.device.Name = strings.TrimSpace(k.ChildText("software")), strings.TrimSpace(k.ChildText("device"))
		case stream.SMSpace + " resume":
			r.resume = k
		case stream.Bind2Space + " bind":
			r.bind = k
		case stream.FASTSpace + " fast":
			r.fast = k
		case stream.FASTSpace + " request-token":
			r.want = k.Attr("mechanism")
		case stream.UpgrSpace + " upgrade":
			name, ok := strings.CutPrefix(strings.TrimSpace(k.Text), upgradePrefix)
			if h := sasl.Hash(name); ok && !r.upgrading(h) {
				r.upgrades = append(r.upgrades, h)
			}
		}
	}
	return nil
}

// deviceMost is how long an id may be.
const deviceMost = 64

// deviceID takes the id of a user agent. It should be a UUID, in whatever case;
// another word does no harm, and is no reason to lock anybody out.
func deviceID(id string) (string, bool) {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return "", false // see smKey
		}
	}
	return strings.ToLower(id), len(id) <= deviceMost
}

// onSASL2 is in the middle of a login: there is nothing but <response/> and
// <abort/> (XEP-0388 §2.4).
func onSASL2(s *Stream, ctx context.Context, raw *elem.Raw) error {
	if string(raw.Space) == stream.SASL2Space {
		switch string(raw.Local) {
		case "response":
			if len(raw.Kids) > 0 {
				return s.nego.refuse(sasl.Fail(sasl.MalformedRequest, "No elements belong in there."))
			}
			msg, err := decode(text(raw))
			if err != nil {
				return s.nego.refuse(err)
			}
			return s.nego.next(ctx, msg)
		case "abort": // XEP-0388 §4.5
			return s.nego.refuse(sasl.Fail(sasl.Aborted, ""))
		}
	}
	return outOfTurn()
}

func outOfTurn() error {
	return stream.Fail("policy-violation", "This does not belong into a login (XEP-0388 §2.4).")
}

// proven follows the proof: what else is to be done before the client is in
// (XEP-0388 §2.6.3), then the end.
func (r *request) proven(ctx context.Context, data []byte) error {
	n := r.n
	who := n.exchange.JID()
	// XEP-0388 §2.3, HARDENING A5: the header said who would log in.
	if !n.from.IsZero() && n.from.Bare() != who {
		return n.refuse(sasl.Fail(sasl.InvalidAuthzid, "You said in \"from\" that you are somebody else."))
	}
	r.data = data
	return r.step(ctx)
}

// step goes to the next task, or to the end if there is none.
func (r *request) step(ctx context.Context) error {
	more, err := r.nextTask(ctx)
	if err != nil {
		return r.n.refuse(err)
	}
	if more {
		return nil
	}
	return r.enter(ctx)
}

// enter lets the client in: what it asked for is done, then it is told
// (XEP-0388 §2.6.1).
func (r *request) enter(ctx context.Context) error {
	n := r.n
	s, who := n.s, n.exchange.JID()
	var rest []byte // of <success/>
	n.identify()
	resumed, err := r.resumeInline(ctx, who, &rest)
	if err != nil {
		return err
	}
	if !resumed && r.bind != nil {
		if err := r.bindInline(ctx, who, &rest); err != nil {
			return n.refuse(err)
		}
	}
	rest = r.token(ctx, who, rest)
	s.srv.countLogin(n.mech, "success")
	s.who = who
	if !n.pass.Leave() {
		return edge.ErrCrowded
	}
	s.scan.SetLimits(stanzaLimits(s))
	s.step = onBind
	out := append([]byte(nil), "<success xmlns='"+stream.SASL2Space+"'>"...)
	if r.data != nil {
		out = append(out, "<additional-data>"...)
		out = append(base64.StdEncoding.AppendEncode(out, r.data), "</additional-data>"...)
	}
	if s.sess != nil {
		who = s.sess.JID()
	}
	out = append(out, "<authorization-identifier>"...)
	out = append(elem.AppendText(out, who.String()), "</authorization-identifier>"...)
	out = append(append(out, rest...), "</success>"...)
	n.exchange, n.ask = nil, nil
	if err := s.out.send(func(dst []byte, f stream.Framing) []byte {
		dst = f.Element(dst, out, 0)
		if resumed {
			return dst // XEP-0198 §9.2: no features then
		}
		el, nameEnd := n.features(nil)
		return f.Element(dst, el, nameEnd)
	}); err != nil {
		return err
	}
	if s.sess != nil {
		return s.bound()
	}
	return nil
}
