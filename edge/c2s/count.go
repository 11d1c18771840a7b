package c2s

import (
	"fmt"
	"time"

	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/im/trace"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// countWrite counts frames that went to the socket, a kind at a time.
func (o *outlet) countWrite(frames []*session.Frame) {
	var n [stanza.IQ + 1]int
	for _, f := range frames {
		n[f.Kind&3]++
	}
	for _, k := range [...]stanza.Kind{stanza.Message, stanza.Presence, stanza.IQ} {
		if n[k] > 0 {
			o.srv.conf.Meter.Passed(meter.Write, k, n[k])
		}
	}
	if t := o.srv.conf.Trace; t.On() {
		for _, f := range frames {
			t.Tell(trace.Event{At: time.Now(), Verb: meter.Write.String(), Kind: f.Kind.String(), To: o.sess.JID().String(),
				What: fmt.Sprintf("position %s, %d bytes", f.Pos, len(f.Bytes))}, o.sess.JID())
		}
	}
}

// countLogin counts how an attempt ended. A mechanism we don't know is the
// peer's invention, and not to become the name of a number.
func (s *Server) countLogin(mech, result string) {
	if !sasl.Known(mech) && !sasl.KnownToken(mech) {
		mech = "unknown"
	}
	s.conf.Meter.Logins.Add(mech, result)
}
