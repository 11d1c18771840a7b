package serviceadmin

import (
	"context"
	"fmt"
	"slices"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/form"
)

// admins is the list of those who may do all this.
type admins struct{ admin }

// commands are its commands.
func (a admins) commands() []im.Command {
	stage := im.Stage{Form: func(ctx context.Context, c *im.Call) (*form.Form, error) {
		list, err := account.Of(a.Accounts, c.Host.Domain()).Admins(ctx)
		if err != nil {
			return nil, err
		}
		f := form.Field{Var: "adminjids", Type: "jid-multi", Label: "The admin list", Required: true}
		for _, acc := range list {
			f.Values = append(f.Values, acc.JID.String())
		}
		return ask("Editing the admin list", "Accounts of "+c.Host.Domain()+" that may administer it.", f), nil
	}}
	return []im.Command{a.command("edit-admin", "Edit Admin List", a.setAdmins, stage)}
}

// setAdmins is XEP-0133 §4.29; whom it leaves out can do nothing more at once,
// even in a command that is under way.
func (a admins) setAdmins(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	list, err := a.own(ctx, c, "adminjids")
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, compare)
	list = slices.Compact(list)
	if err := account.Of(a.Accounts, c.Host.Domain()).SetAdmins(ctx, list); err != nil {
		return nil, told(err)
	}
	return im.Done(fmt.Sprintf("%d administrators", len(list))), nil
}
