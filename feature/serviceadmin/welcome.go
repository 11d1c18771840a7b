package serviceadmin

import (
	"context"
	"strings"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/form"
)

// welcome is what people read who log in for the first time.
type welcome struct{ admin }

// commands are its commands.
func (a welcome) commands() []im.Command {
	stage := im.Stage{Form: func(_ context.Context, c *im.Call) (*form.Form, error) {
		f := form.Field{Var: "welcome", Type: "text-multi", Label: "Welcome message", Required: true}
		if v, ok := a.Notices.Get(c.Host, Welcome); ok {
			f.Values = strings.Split(v.Text, "\n")
		}
		return ask("Setting the welcome message", "People get it when they log in for the first time.", f), nil
	}}
	return []im.Command{
		a.command("set-welcome", "Set Welcome Message", a.setWelcome, stage),
		a.command("delete-welcome", "Delete Welcome Message", a.drop(Welcome, "welcome message")),
	}
}

// setWelcome is XEP-0133 §4.27.
func (a welcome) setWelcome(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	text, err := said(c, "welcome")
	if err != nil {
		return nil, err
	}
	_, err = a.Notices.Set(ctx, c.Host, Welcome, text, false, a.Now())
	return nil, err
}
