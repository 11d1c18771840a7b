package serviceadmin

import (
	"context"
	"fmt"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// maxWall bounds a list: it travels in one form.
const maxWall = 2000

// walls are the lists that hold for the whole server, in both directions.
type walls struct{ admin }

// commands are its commands.
func (a walls) commands() []im.Command {
	white := func(node string) im.Command {
		return a.command(node, "Edit Whitelist", a.setWall(block.White, "whitelistjids"), a.wall(block.White, "Editing the whitelist",
			"If anybody is on it, people here can only talk to these entities elsewhere. Empty: to all that are not on the blacklist.", "whitelistjids", "The whitelist"))
	}
	// XEP-0133 §4.12 calls the node one thing and uses another in its examples.
	other := white("add-to-whitelist")
	other.Hidden = true
	return []im.Command{
		a.command("edit-blacklist", "Edit Blacklist", a.setWall(block.Black, "blacklistjids"), a.wall(block.Black, "Editing the blacklist",
			"Nobody here communicates with these entities: accounts, domains or resources.", "blacklistjids", "The blacklist")),
		white("edit-whitelist"), other,
	}
}

func (a walls) wall(side block.Side, title, instructions, field, label string) im.Stage {
	return im.Stage{Form: func(ctx context.Context, _ *im.Call) (*form.Form, error) {
		list, err := a.Wall.List(ctx, side)
		if err != nil {
			return nil, err
		}
		return ask(title, instructions, form.Field{Var: field, Type: "jid-multi", Label: label, Values: texts(list)}), nil
	}}
}

// setWall is XEP-0133 §4.11 and §4.12.
func (a walls) setWall(side block.Side, field string) runner {
	return func(ctx context.Context, c *im.Call) (*im.Outcome, error) {
		var list []jid.JID
		for _, v := range c.Values(field) {
			j, err := jid.Parse(v)
			if err != nil {
				return nil, bad("%q is not an address", v)
			}
			if err := a.mayWall(ctx, c, side, j); err != nil {
				return nil, err
			}
			list = append(list, j)
		}
		if len(list) > maxWall {
			return nil, bad("at most %d entries; block whole domains instead of addresses", maxWall)
		}
		if err := a.Wall.Set(ctx, side, list); err != nil {
			return nil, err
		}
		return im.Done(fmt.Sprintf("%d entries", len(list))), nil
	}
}

// mayWall keeps an administrator from silencing the server or its administrators.
func (a walls) mayWall(ctx context.Context, c *im.Call, side block.Side, j jid.JID) error {
	if side == block.White {
		return nil
	}
	if j.IsDomain() && j.Domain() == c.Host.Domain() || j.Local() == "" && j.Domain() == c.Host.Domain() {
		return stanza.Fail("not-allowed", "this server itself can't be on its blacklist")
	}
	is, err := account.Of(a.Accounts, c.Host.Domain()).IsAdmin(ctx, j)
	if err != nil {
		return err
	}
	if is {
		return stanza.Fail("not-allowed", j.Bare().String()+" is an administrator; take that right away first")
	}
	return nil
}
