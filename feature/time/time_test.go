package time

import (
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
)

// XEP-0202 §3, XEP-0082 §3: the offset of the zone, and UTC whatever it is.
func TestTime_zoneAndUTC(t *testing.T) {
	for name, c := range map[string]struct {
		at       time.Time
		tzo, utc string
	}{
		"UTC":         {time.Date(2026, 11, 23, 8, 0, 0, 999, time.UTC), "+00:00", "2026-11-23T08:00:00Z"},
		"west, a day": {time.Date(2026, 11, 22, 20, 0, 0, 0, time.FixedZone("", -5*3600-1800)), "-05:30", "2026-11-23T01:30:00Z"},
		"east":        {time.Date(2026, 11, 23, 8, 0, 0, 0, time.FixedZone("", 3600)), "+01:00", "2026-11-23T07:00:00Z"},
	} {
		out, err := Feature(func() time.Time { return c.at }).IQ[0].Handle(t.Context(), &im.IQ{})
		if err != nil {
			t.Fatal(err)
		}
		if out.ChildText("tzo") != c.tzo || out.ChildText("utc") != c.utc || out.Space != "urn:xmpp:time" {
			t.Errorf("%s: %s", name, out.AppendTo(nil, ""))
		}
	}
}
