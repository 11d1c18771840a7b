package time

import (
	"context"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const space = "urn:xmpp:time"

// Feature is XEP-0202.
func Feature(now func() time.Time) im.Feature {
	return im.Feature{
		Name: "time",
		Specs: []im.Spec{
			{ID: "XEP-0202", Version: "2.0", Status: "complete"},
			{ID: "XEP-0082", Version: "1.1", Status: "complete"},
		},
		HostFeatures: []string{space},
		IQ: []im.Route{{Scope: im.ToHost, Type: stanza.Get, Space: space, Local: "time",
			Handle: func(context.Context, *im.IQ) (*elem.Element, error) {
				t := now()
				return elem.New(space, "time").Add(
					elem.New(space, "tzo").SetText(t.Format("-07:00")),
					// XEP-0202 §3: UTC, whatever the zone is.
					elem.New(space, "utc").SetText(t.UTC().Format("2006-01-02T15:04:05Z"))), nil
			}}},
	}
}
