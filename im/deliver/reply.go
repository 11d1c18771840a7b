package deliver

import (
	"crypto/rand"
	"encoding/hex"
	"errors"

	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// replies tells senders what became of their stanzas.
type replies struct{ cfg *Config }

// reply sends an error for a stanza back to the session it came from.
func (r *replies) reply(s *session.Session, st *stanza.Stanza, e *stanza.Error) {
	if st.Type == stanza.Error_ || (st.Kind == stanza.IQ && st.Type == stanza.Result) {
		return // RFC 6120 §8.3.1
	}
	from := st.To
	if from.IsZero() {
		from = s.JID().Bare()
	}
	out := elem.New(stanza.Space, st.Kind.String(), "from", from.String(), "to", s.JID().String(), "type", "error")
	if st.ID != "" {
		out.Set("id", st.ID)
	}
	if e.About != nil {
		out.Add(e.About)
	}
	r.cfg.Routes.Push(s, route.EncodeElement(st.Kind, out.Add(e.Element())))
}

// asError turns any error into what the sender may know of it: details of an
// unexpected one stay in the log, under the incident's id.
func (r *replies) asError(err error, st *stanza.Stanza) *stanza.Error {
	var se *stanza.Error
	if errors.As(err, &se) {
		return se
	}
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	incident := hex.EncodeToString(b[:])
	r.cfg.Log.Error("deliver: a stanza failed", "incident", incident, "kind", st.Kind.String(),
		"from", st.From.String(), "err", err)
	return stanza.Fail("internal-server-error", "incident "+incident+"; your administrator finds it in the log")
}
