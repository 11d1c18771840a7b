package serviceadmin

import (
	"context"
	"fmt"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// sessions ends them.
type sessions struct{ admin }

// commands are its commands.
func (a sessions) commands() []im.Command {
	return []im.Command{a.command("end-user-session", "End User Session", a.endSession, fixed("Ending user sessions",
		"An address with a resource ends that session, without one all of the account's.", need(someAccounts)))}
}

// endSession is XEP-0133 §4.5.
func (a sessions) endSession(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	var list []jid.JID
	for _, v := range c.Values("accountjids") {
		j, err := a.local(c, v)
		if err != nil {
			return nil, err
		}
		if _, err := a.existing(ctx, j.Bare()); err != nil {
			return nil, err
		}
		if j == c.Who || j == c.Who.Bare() {
			return nil, stanza.Fail("not-allowed", "this is the session you are using; log out instead")
		}
		list = append(list, j)
	}
	n := 0
	for _, j := range list {
		n += a.Path.Evict(ctx, j, "an administrator has ended this session")
	}
	return im.Done(fmt.Sprintf("%d sessions ended", n)), nil
}
