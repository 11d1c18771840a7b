package carbon

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const space = "urn:xmpp:carbons:2"

// Feature is XEP-0280.
func Feature() im.Feature {
	return im.Feature{
		Name:            "carbons",
		Specs:           []im.Spec{{ID: "XEP-0280", Version: "1.0.1", Status: "complete"}},
		HostFeatures:    []string{space}, // XEP-0280 §3: asked of the server
		AccountFeatures: []string{space, "urn:xmpp:carbons:rules:0"},
		IQ: []im.Route{
			{Scope: im.ToSelf, Type: stanza.Set, Space: space, Local: "enable", Handle: switchTo(true)},
			{Scope: im.ToSelf, Type: stanza.Set, Space: space, Local: "disable", Handle: switchTo(false)},
		},
	}
}

func switchTo(on bool) im.Handler {
	return func(_ context.Context, q *im.IQ) (*elem.Element, error) {
		if q.Session == nil {
			return nil, stanza.Fail("not-allowed", "carbons are switched by the client that wants them")
		}
		q.Session.Switch(func(f *session.Flags) { f.Carbons = on })
		return nil, nil
	}
}
