package carbon

import (
	"errors"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// XEP-0280 §4, §5: on and off for the session that asks; asking twice changes nothing.
func TestCarbons_switching(t *testing.T) {
	s := session.New(jid.MustParse("a@x.test/1"), session.DefaultLimits, nil, nil, time.Time{})
	routes := map[string]im.Handler{}
	for _, r := range Feature().IQ {
		if r.Scope != im.ToSelf || r.Type != stanza.Set || r.Space != "urn:xmpp:carbons:2" {
			t.Errorf("claims %+v", r)
		}
		routes[r.Local] = r.Handle
	}
	for _, c := range []struct {
		what string
		on   bool
	}{{"disable", false}, {"enable", true}, {"enable", true}, {"disable", false}, {"disable", false}, {"enable", true}} {
		out, err := routes[c.what](t.Context(), &im.IQ{Session: s})
		if out != nil || err != nil {
			t.Errorf("%s: %v %v, want an empty result", c.what, out, err)
		}
		if s.Flags().Carbons != c.on || s.Standing().Carbons != c.on {
			t.Errorf("after %s: %v", c.what, s.Flags().Carbons)
		}
	}
	for what, h := range routes {
		var se *stanza.Error
		if _, err := h(t.Context(), &im.IQ{}); !errors.As(err, &se) || se.Condition != "not-allowed" {
			t.Errorf("%s without a session: %v", what, err)
		}
	}
}
