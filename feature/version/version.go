package version

import (
	"context"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const space = "jabber:iq:version"

// Feature is XEP-0092.
func Feature(version string) im.Feature {
	return im.Feature{
		Name:         "version",
		Specs:        []im.Spec{{ID: "XEP-0092", Version: "1.1", Status: "complete", Note: "without the operating system"}},
		HostFeatures: []string{space},
		IQ: []im.Route{{Scope: im.ToHost, Type: stanza.Get, Space: space, Local: "query",
			Handle: func(context.Context, *im.IQ) (*elem.Element, error) {
				return elem.New(space, "query").Add(
					elem.New(space, "name").SetText("Parlance"),
					elem.New(space, "version").SetText(version)), nil
			}}},
	}
}
