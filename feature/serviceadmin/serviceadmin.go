package serviceadmin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/visit"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Space is the FORM_TYPE, and the beginning of the commands' nodes (XEP-0133 §8.2).
const Space = "http://jabber.org/protocol/admin"

// ownNodes is the beginning of the nodes of commands that are not XEP-0133's.
const ownNodes = "https://parlance.im/commands"

// Path is the message path; im/deliver meets it.
type Path interface {
	Announce(ctx context.Context, msgs iter.Seq[*stanza.Stanza]) (sent int, err error)
	Evict(ctx context.Context, who jid.JID, reason string) (ended int)
}

// Config is what the commands act on. All fields are needed.
type Config struct {
	Accounts *account.Store
	Rosters  *roster.Store
	Blocks   *block.Store
	Wall     *block.Wall
	Routes   *route.Table
	Visits   *visit.Store
	Notices  *Notices
	Path     Path
	// Home is the first host: what holds for the whole server is administered there alone,
	// so that the administrators of another host have no part in it. Zero: there is but one.
	Home jid.JID
	// Seen is when an account's last session left.
	Seen func(ctx context.Context, bare jid.JID) (at time.Time, status string, ok bool)
	// SetCard writes an account's vCard (XEP-0054).
	SetCard func(ctx context.Context, owner jid.JID, card *elem.Element) error
	// Stop ends the server after a delay, or ends it and starts it again.
	Stop func(after time.Duration, restart bool)
	Now  func() time.Time
}

// admin is the commands' common ground.
type admin struct{ Config }

// Feature is XEP-0133.
func Feature(c Config) im.Feature {
	a := admin{c}
	var all []im.Command
	for _, group := range [][]im.Command{
		accounts{a}.commands(), sessions{a}.commands(), people{a}.commands(), a.ofServer(walls{a}.commands()), counts{a}.commands(), lists{a}.commands(),
		announcements{a}.commands(), motd{a}.commands(), welcome{a}.commands(), admins{a}.commands(), a.ofServer(stops{a}.commands()), reports{a}.commands(),
	} {
		all = append(all, group...)
	}
	return im.Feature{
		Name:       "serviceadmin",
		Specs:      []im.Spec{{ID: "XEP-0133", Version: "1.3.1", Status: "complete", Note: "Get User Password, which is retracted, answers not-allowed"}},
		Commands:   all,
		Migrations: Migrations().FS,
	}
}

// may is HARDENING I10: an administrator of this host, not of another.
func (a admin) may(ctx context.Context, host, who jid.JID) (bool, error) {
	return account.Of(a.Accounts, host.Domain()).IsAdmin(ctx, who)
}

// mayServer is may, for what concerns all hosts.
func (a admin) mayServer(ctx context.Context, host, who jid.JID) (bool, error) {
	if !a.Home.IsZero() && host != a.Home {
		return false, nil
	}
	return a.may(ctx, host, who)
}

// ofServer makes commands act on all hosts.
func (a admin) ofServer(all []im.Command) []im.Command {
	for i := range all {
		all[i].May = a.mayServer
	}
	return all
}

type runner func(ctx context.Context, c *im.Call) (*im.Outcome, error)

// command is one of XEP-0133.
func (a admin) command(node, name string, run runner, stages ...im.Stage) im.Command {
	return im.Command{Node: Space + "#" + node, Name: name, May: a.may, Stages: stages, Run: run}
}

// fixed is a stage whose form is always the same.
func fixed(title, instructions string, fields ...form.Field) im.Stage {
	return im.Stage{Form: func(context.Context, *im.Call) (*form.Form, error) {
		return ask(title, instructions, fields...), nil
	}}
}

// ask makes a form to be filled in.
func ask(title, instructions string, fields ...form.Field) *form.Form {
	f := form.New("form", Space)
	f.Title, f.Instructions = title, instructions
	f.Fields = append(f.Fields, fields...)
	return f
}

// result makes a form that tells.
func result(fields ...form.Field) *im.Outcome {
	f := form.New("result", Space)
	f.Fields = append(f.Fields, fields...)
	return &im.Outcome{Form: f}
}

func need(f form.Field) form.Field { f.Required = true; return f }

var (
	oneAccount   = form.Field{Var: "accountjid", Type: "jid-single", Label: "The address of the account"}
	someAccounts = form.Field{Var: "accountjids", Type: "jid-multi", Label: "The addresses of the accounts"}
)

// own are the accounts of the call's host that a field names: each exists.
func (a admin) own(ctx context.Context, c *im.Call, field string) ([]jid.JID, error) {
	var out []jid.JID
	for _, v := range c.Values(field) {
		j, err := a.local(c, v)
		if err != nil {
			return nil, err
		}
		if j, err = a.existing(ctx, j.Bare()); err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

// local reads an address of somebody at the call's host.
func (a admin) local(c *im.Call, v string) (jid.JID, error) {
	j, err := jid.Parse(v)
	if err != nil || j.Local() == "" {
		return j, mend("%q is no account; write it like somebody@%s", v, c.Host.Domain())
	}
	if j.Domain() != c.Host.Domain() {
		// HARDENING I10: who administers one domain does nothing in another.
		return j, mend("%s is not an account of %s", j.Bare(), c.Host.Domain())
	}
	return j, nil
}

func (a admin) existing(ctx context.Context, j jid.JID) (jid.JID, error) {
	there, err := a.Accounts.Exists(ctx, j)
	if err == nil && !there {
		err = mend("there is no account %s", j)
	}
	return j, err
}

// mend is an answer to a form with somebody in it who is not there.
func mend(format string, args ...any) error {
	return &im.Mend{Text: fmt.Sprintf(format, args...)}
}

// bad is an answer to a form that does not make sense (XEP-0050 §4.4).
func bad(format string, args ...any) *stanza.Error {
	e := stanza.Fail("bad-request", fmt.Sprintf(format, args...))
	e.App = elem.New("http://jabber.org/protocol/commands", "bad-payload")
	return e
}

// told turns the account store's errors into the administrator's.
func told(err error) error {
	if r, ok := errors.AsType[*account.Refused](err); ok {
		return bad("%s", r.Why)
	}
	switch {
	case errors.Is(err, account.ErrExists): // XEP-0133 §5
		return stanza.Fail("conflict", "there is an account of that name already")
	case errors.Is(err, account.ErrNotFound):
		return stanza.Fail("item-not-found", "there is no such account")
	case errors.Is(err, account.ErrName):
		return bad("an account is named like somebody@example.com")
	case errors.Is(err, account.ErrNoAdmin):
		return stanza.Fail("not-allowed", "somebody must be left who can administer the server")
	}
	return err
}

// texts are a list of addresses as values.
func texts(list []jid.JID) []string {
	out := make([]string, 0, len(list))
	for _, j := range list {
		out = append(out, j.String())
	}
	return out
}
