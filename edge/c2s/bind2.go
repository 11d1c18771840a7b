package c2s

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// resumeInline takes an earlier session up within a login (XEP-0198 §9.2); what
// <success/> is to say of it is added to out.
func (r *request) resumeInline(ctx context.Context, who jid.JID, out *[]byte) (resumed bool, err error) {
	if r.resume == nil {
		return false, nil
	}
	el, sess, err := takeUp(ctx, r.n.s, who, r.resume.Attr("previd"), r.resume.Attr("h"))
	if err != nil {
		return false, err
	}
	*out = el.AppendTo(*out, stream.Client)
	r.n.s.sess = sess
	return sess != nil, nil
}

// bindInline binds a resource within a login (XEP-0386 §3.2). The error is a *sasl.Failure.
func (r *request) bindInline(ctx context.Context, who jid.JID, out *[]byte) error {
	s := r.n.s
	full, err := who.WithResource(r.resource(who))
	if err != nil {
		return sasl.Fail(sasl.MalformedRequest, "The tag can't be in a resource.")
	}
	sess, err := s.srv.conf.Core.Bind(ctx, who, full.Resource(), &s.out)
	if err != nil {
		return unbound(err)
	}
	s.sess = sess
	sess.SetLanguage(r.n.lang)
	sess.SetDevice(s.nego.device)
	bound := elem.New(stream.Bind2Space, "bound")
	for _, k := range r.bind.Children {
		switch k.Space + " " + k.Local {
		case stream.SMSpace + " enable":
			bound.Add(manage(s, k.Attr("resume"), k.Attr("max")))
		case stream.CarbonSpace + " enable":
			sess.Switch(func(f *session.Flags) { f.Carbons = true })
		case stream.CSISpace + " inactive":
			sess.Switch(func(f *session.Flags) { f.Inactive = true })
		}
	}
	if f := s.srv.conf.Begin; f != nil {
		if about := f(ctx, sess); about != nil {
			bound.Add(about)
		}
	}
	*out = bound.AppendTo(*out, stream.Client)
	return nil
}

// unbound says in a <failure/> why there is no resource: the login is not over,
// and the client may try again.
func unbound(err error) error {
	if e, ok := errors.AsType[*stanza.Error](err); ok {
		return &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: e.Text, Also: e.Condition}
	}
	return &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "The server can't begin a session now.", Cause: err}
}

// tagMost is how much of a resource the client may say.
const tagMost = 64

// resource is `tag/id` (XEP-0386 §3.2.1). The id is the same for each login of a
// device, so that a session it has lost makes room for its next; it is made of
// the id of the user agent in a way that does not tell it.
func (r *request) resource(who jid.JID) string {
	tag := strings.TrimSpace(r.bind.ChildText("tag"))
	if len(tag) > tagMost {
		for tag = tag[:tagMost]; !utf8.ValidString(tag); {
			tag = tag[:len(tag)-1]
		}
	}
	id := rand.Text()[:16]
	if d := r.device.ID; d != "" {
		sum := sha256.Sum256([]byte("resource\x00" + who.String() + "\x00" + d))
		id = base32.StdEncoding.EncodeToString(sum[:10])
	}
	if tag == "" {
		return id
	}
	return tag + "/" + id
}
