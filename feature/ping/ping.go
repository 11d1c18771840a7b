package ping

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const space = "urn:xmpp:ping"

// Feature is XEP-0199, and its like as an ad-hoc command (XEP-0050 §1).
func Feature() im.Feature {
	return im.Feature{
		Name:            "ping",
		Specs:           []im.Spec{{ID: "XEP-0199", Version: "2.0.1", Status: "complete"}},
		HostFeatures:    []string{space},
		AccountFeatures: []string{space},
		IQ: []im.Route{{Scope: im.ToHost | im.ToSelf, Type: stanza.Get, Space: space, Local: "ping",
			// XEP-0199 §4.2: an empty result.
			Handle: func(context.Context, *im.IQ) (*elem.Element, error) { return nil, nil }}},
		// The one command everybody may run: who knows only XEP-0050 can see with it
		// that commands work here, and how far off the server is.
		Commands: []im.Command{{Node: "ping", Name: "Ping", Run: func(context.Context, *im.Call) (*im.Outcome, error) {
			return im.Done("Pong: the server answers."), nil
		}}},
	}
}
