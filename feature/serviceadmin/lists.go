package serviceadmin

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// maxListed is what "none" as a maximum gives: one answer must be one stanza.
const maxListed = 3000

// lists are the commands that list accounts.
type lists struct{ admin }

// commands are its commands.
func (a lists) commands() []im.Command {
	stored := func(disabled bool) lister {
		return func(ctx context.Context, c *im.Call, n int) (out []jid.JID, err error) {
			page, err := account.Of(a.Accounts, c.Host.Domain()).List(ctx, "", n, disabled)
			for _, acc := range page {
				out = append(out, acc.JID)
			}
			return out, err
		}
	}
	present := func(is func(standing) bool) lister {
		return func(_ context.Context, c *im.Call, n int) (out []jid.JID, err error) {
			for who, st := range a.standings(c.Host) {
				if is(st) {
					out = append(out, who)
				}
			}
			slices.SortFunc(out, func(x, y jid.JID) int { return compare(x, y) })
			return out[:min(len(out), n)], nil
		}
	}
	return []im.Command{
		// XEP-0133 §4.18 to §4.22; the last one's field is called like that in its example.
		a.list("registered", "Registered", "registereduserjids", stored(false)),
		a.list("disabled", "Disabled", "disableduserjids", stored(true)),
		a.list("online", "Online", "onlineuserjids", present(isOnline)),
		a.list("active", "Active", "activeuserjids", present(isActive)),
		a.list("idle", "Idle", "activeuserjids", present(isIdle)),
	}
}

type lister func(ctx context.Context, c *im.Call, n int) ([]jid.JID, error)

func (a lists) list(which, title, field string, list lister) im.Command {
	options := []form.Option{}
	for _, n := range []string{"25", "50", "75", "100", "150", "200", "none"} {
		options = append(options, form.Option{Label: n, Value: n})
	}
	run := func(ctx context.Context, c *im.Call) (*im.Outcome, error) {
		n := maxListed
		if v, err := strconv.Atoi(c.Value("max_items")); err == nil {
			n = v
		}
		all, err := list(ctx, c, n+1)
		if err != nil {
			return nil, err
		}
		shown := all[:min(len(all), n)]
		out := result(form.Field{Var: field, Type: "jid-multi", Label: "The " + which + " users", Values: texts(shown)})
		if len(all) > n {
			out.Notes = []im.Note{{Type: "warn", Text: fmt.Sprintf("there are more than these %d", n)}}
		}
		return out, nil
	}
	node := "get-" + which + "-users-list"
	if which == "active" || which == "idle" {
		node = "get-" + which + "-users" // XEP-0133 §4.21, §4.22
	}
	return a.command(node, "Get List of "+title+" Users", run,
		fixed("Listing "+which+" users", "How many do you want to see?",
			form.Field{Var: "max_items", Type: "list-single", Label: "Maximum number of items to show", Options: options, Values: []string{"100"}}))
}

// bound are all bound sessions of the node, as they were when each shard was looked at.
func (a admin) bound() iter.Seq[*session.Session] {
	var all []*session.Session
	a.Routes.Each(func(s *session.Session) { all = append(all, s) })
	return slices.Values(all)
}

func compare(x, y jid.JID) int {
	switch a, b := x.String(), y.String(); {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
