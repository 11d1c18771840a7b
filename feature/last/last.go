package last

import (
	"context"
	"strconv"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

const space = "jabber:iq:last"

// Config is what the feature asks. All fields are needed.
type Config struct {
	Started time.Time
	Now     func() time.Time
	// Online says whether an account has an available session.
	Online func(bare jid.JID) bool
	// Seen is when its last one left, and the status it gave.
	Seen func(ctx context.Context, bare jid.JID) (at time.Time, status string, ok bool)
	// MaySee says whether one account may see another's presence.
	MaySee func(ctx context.Context, owner, asker jid.JID) (bool, error)
}

// Feature is XEP-0012.
func Feature(c Config) im.Feature {
	return im.Feature{
		Name:            "last",
		Specs:           []im.Spec{{ID: "XEP-0012", Version: "2.0", Status: "complete"}},
		HostFeatures:    []string{space},
		AccountFeatures: []string{space},
		IQ: []im.Route{
			{Scope: im.ToHost, Type: stanza.Get, Space: space, Local: "query", Handle: c.uptime},
			{Scope: im.ToSelf, Type: stanza.Get, Space: space, Local: "query", Handle: c.account},
			{Scope: im.ToAccount, Type: stanza.Get, Space: space, Local: "query", Handle: c.account},
		},
	}
}

// uptime is XEP-0012 §5.
func (c Config) uptime(context.Context, *im.IQ) (*elem.Element, error) {
	return seconds(c.Now().Sub(c.Started)), nil
}

// account is XEP-0012 §3 and §4.
func (c Config) account(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	owner := q.To.Bare()
	may := owner == q.From.Bare()
	if !may {
		var err error
		if may, err = c.MaySee(ctx, owner, q.From.Bare()); err != nil {
			return nil, err
		}
	}
	if !may { // XEP-0012 §8: presence information needs the subscription
		return nil, stanza.Fail("forbidden", "ask this person for permission to see their presence first")
	}
	if c.Online(owner) {
		return seconds(0), nil // XEP-0012 §4
	}
	at, status, ok := c.Seen(ctx, owner)
	if !ok {
		return nil, stanza.Fail("item-not-found", "this person has not been online yet")
	}
	return seconds(c.Now().Sub(at)).SetText(status), nil
}

func seconds(d time.Duration) *elem.Element {
	return elem.New(space, "query", "seconds", strconv.FormatInt(int64(max(d, 0)/time.Second), 10))
}
