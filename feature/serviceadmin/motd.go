package serviceadmin

import (
	"context"
	"fmt"
	"strings"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/form"
)

// motd is the message of the day: said to who is there, and to others when they come.
type motd struct{ admin }

// commands are its commands.
func (a motd) commands() []im.Command {
	field := form.Field{Var: "motd", Type: "text-multi", Label: "Message of the Day", Required: true}
	present := im.Stage{Form: func(_ context.Context, c *im.Call) (*form.Form, error) {
		f := field
		if v, ok := a.Notices.Get(c.Host, MOTD); ok {
			f.Values = strings.Split(v.Text, "\n")
		}
		return ask("Editing the message of the day", "Who has had it is not told again; whoever comes gets the new text.", f), nil
	}}
	return []im.Command{
		a.command("set-motd", "Set Message of the Day", a.setMOTD, fixed("Setting the message of the day",
			"Everybody gets it once: now, or when they log in.", field)),
		a.command("edit-motd", "Edit Message of the Day", a.editMOTD, present),
		a.command("delete-motd", "Delete Message of the Day", a.drop(MOTD, "message of the day")),
	}
}

const motdSubject = "Message of the day"

// setMOTD is XEP-0133 §4.24.
func (a motd) setMOTD(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	text, err := said(c, "motd")
	if err != nil {
		return nil, err
	}
	v, err := a.Notices.Set(ctx, c.Host, MOTD, text, true, a.Now())
	if err != nil {
		return nil, err
	}
	n, err := a.tell(ctx, c, v.ID, motdSubject, text)
	if err != nil {
		return nil, err
	}
	return im.Done(fmt.Sprintf("said to %d accounts; others get it when they log in", n)), nil
}

// editMOTD is XEP-0133 §4.25.
func (a motd) editMOTD(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	text, err := said(c, "motd")
	if err != nil {
		return nil, err
	}
	_, err = a.Notices.Set(ctx, c.Host, MOTD, text, false, a.Now())
	return nil, err
}

// drop is XEP-0133 §4.26 and §4.28.
func (a admin) drop(kind, name string) runner {
	return func(ctx context.Context, c *im.Call) (*im.Outcome, error) {
		ok, err := a.Notices.Drop(ctx, c.Host, kind)
		if err == nil && !ok {
			return im.Done("there was no " + name), nil // it is as it was asked to be
		}
		return nil, err
	}
}
