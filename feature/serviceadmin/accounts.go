package serviceadmin

import (
	"context"
	"fmt"
	"strings"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// accounts are the commands that make and change accounts.
type accounts struct{ admin }

// commands are its commands.
func (a accounts) commands() []im.Command {
	never := a.command("get-user-password", "Get User Password", a.noPassword)
	never.Hidden = true
	return []im.Command{
		a.command("add-user", "Add User", a.addUser, fixed("Adding a user", "Fill out this form to add a user.",
			need(oneAccount),
			form.Field{Var: "password", Type: "text-private", Label: "The password for this account", Required: true},
			form.Field{Var: "password-verify", Type: "text-private", Label: "Retype password"},
			form.Field{Var: "email", Type: "text-single", Label: "Email address"},
			form.Field{Var: "given_name", Type: "text-single", Label: "Given name"},
			form.Field{Var: "surname", Type: "text-single", Label: "Family name"})),
		a.command("delete-user", "Delete User", a.deleteUser, fixed("Deleting users",
			"The accounts end with their rosters and cards. The archive keeps what was said.", need(someAccounts))),
		a.command("disable-user", "Disable User", a.disableUser, fixed("Disabling users",
			"Their sessions end and they can't log in; what they own stays.", need(someAccounts))),
		a.command("reenable-user", "Re-Enable User", a.reenableUser, fixed("Re-enabling users",
			"They can log in again.", need(someAccounts))),
		never,
		a.command("change-user-password", "Change User Password", a.changePassword, fixed("Changing a user's password",
			"Their sessions end; they log in again with the new password.", need(oneAccount),
			form.Field{Var: "password", Type: "text-private", Label: "The password for this account", Required: true})),
	}
}

// addUser is XEP-0133 §4.1.
func (a accounts) addUser(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	who, err := a.local(c, c.Value("accountjid"))
	if err != nil {
		return nil, err
	}
	password := c.Value("password")
	if again := c.Values("password-verify"); len(again) > 0 && again[0] != password {
		return nil, mend("the two passwords are not the same; type the password twice")
	}
	given, family, email := c.Value("given_name"), c.Value("surname"), c.Value("email")
	name := strings.TrimSpace(given + " " + family)
	if email != "" && (!strings.Contains(email, "@") || len(email) > 320) {
		return nil, bad("%q is no mail address", email)
	}
	if err := a.Accounts.Create(ctx, who, password, account.Options{Name: name}); err != nil {
		return nil, told(err)
	}
	if name != "" || email != "" {
		if err := a.SetCard(ctx, who, card(given, family, name, email)); err != nil {
			return nil, err
		}
	}
	return im.Done("the account " + who.String() + " is there"), nil
}

// card is a vCard with what the form asked for (XEP-0054 §3.2).
func card(given, family, name, email string) *elem.Element {
	const space = "vcard-temp"
	text := func(name, v string) *elem.Element { return elem.New(space, name).SetText(v) }
	e := elem.New(space, "vCard")
	if name != "" {
		e.Add(text("FN", name), elem.New(space, "N").Add(text("FAMILY", family), text("GIVEN", given)))
	}
	if email != "" {
		e.Add(elem.New(space, "EMAIL").Add(elem.New(space, "INTERNET"), text("USERID", email)))
	}
	return e
}

// deleteUser is XEP-0133 §4.2.
func (a accounts) deleteUser(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	return a.each(ctx, c, "deleted", true, a.Accounts.Remove)
}

// disableUser is XEP-0133 §4.3.
func (a accounts) disableUser(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	return a.each(ctx, c, "disabled", true, func(ctx context.Context, who jid.JID) error { return a.Accounts.Disable(ctx, who, true) })
}

// reenableUser is XEP-0133 §4.4.
func (a accounts) reenableUser(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	return a.each(ctx, c, "enabled", false, func(ctx context.Context, who jid.JID) error { return a.Accounts.Disable(ctx, who, false) })
}

// each does something to the accounts of a form; nothing at all if one is wrong.
func (a accounts) each(ctx context.Context, c *im.Call, what string, notOneself bool, do func(context.Context, jid.JID) error) (*im.Outcome, error) {
	list, err := a.own(ctx, c, "accountjids")
	if err != nil {
		return nil, err
	}
	for _, who := range list {
		if notOneself && who == c.Who.Bare() {
			return nil, stanza.Fail("not-allowed", "this is the account you are using; let another administrator do it")
		}
	}
	for i, who := range list {
		if err := do(ctx, who); err != nil {
			if i > 0 {
				return nil, fmt.Errorf("%d of %d accounts %s: %w", i, len(list), what, told(err))
			}
			return nil, told(err)
		}
	}
	return im.Done(fmt.Sprintf("%d %s", len(list), what)), nil
}

// noPassword is XEP-0133 §4.6: there is nothing to get.
func (a accounts) noPassword(context.Context, *im.Call) (*im.Outcome, error) {
	return nil, stanza.Fail("not-allowed", "passwords are kept so that nobody can read them; set a new one instead")
}

// changePassword is XEP-0133 §4.7.
func (a accounts) changePassword(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	list, err := a.own(ctx, c, "accountjid")
	if err != nil {
		return nil, err
	}
	if err := a.Accounts.SetPassword(ctx, list[0], c.Value("password")); err != nil {
		return nil, told(err)
	}
	return im.Done("the password of " + list[0].String() + " is changed"), nil
}
