package serviceadmin

import (
	"context"
	"strconv"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/form"
)

// counts are the commands that answer with one number, without a form.
type counts struct{ admin }

// commands are its commands.
func (a counts) commands() []im.Command {
	stored := func(pick func(all, disabled int) int) counter {
		return func(ctx context.Context, c *im.Call) (int, error) {
			all, disabled, err := account.Of(a.Accounts, c.Host.Domain()).Tally(ctx)
			return pick(all, disabled), err
		}
	}
	present := func(is func(standing) bool) counter {
		return func(_ context.Context, c *im.Call) (n int, err error) {
			for _, st := range a.standings(c.Host) {
				if is(st) {
					n++
				}
			}
			return n, nil
		}
	}
	return []im.Command{
		// XEP-0133 §4.13 to §4.17.
		a.count("registered", "Registered", stored(func(all, _ int) int { return all })),
		a.count("disabled", "Disabled", stored(func(_, disabled int) int { return disabled })),
		a.count("online", "Online", present(isOnline)),
		a.count("active", "Active", present(isActive)),
		a.count("idle", "Idle", present(isIdle)),
	}
}

type counter func(context.Context, *im.Call) (int, error)

func (a counts) count(which, title string, count counter) im.Command {
	label := "Get Number of " + title + " Users"
	return a.command("get-"+which+"-users-num", label, func(ctx context.Context, c *im.Call) (*im.Outcome, error) {
		n, err := count(ctx, c)
		if err != nil {
			return nil, err
		}
		return result(form.Field{Var: which + "usersnum", Type: "text-single", Label: "The number of " + which + " users", Values: []string{strconv.Itoa(n)}}), nil
	})
}

func isOnline(s standing) bool { return s.online }
func isActive(s standing) bool { return s.active }
func isIdle(s standing) bool   { return s.online && !s.active }
