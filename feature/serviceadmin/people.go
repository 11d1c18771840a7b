package serviceadmin

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// people are the commands that look at one person.
type people struct{ admin }

// commands are its commands.
func (a people) commands() []im.Command {
	return []im.Command{
		a.command("get-user-roster", "Get User Roster", a.userRoster, fixed("Getting a user's roster", "Whose contacts do you want to see?", need(someAccounts))),
		a.command("get-user-lastlogin", "Get User Last Login Time", a.lastLogin, fixed("Getting a user's last login time", "Whose last login do you want to see?", need(someAccounts))),
		a.command("user-stats", "Get User Statistics", a.userStats, fixed("Getting a user's statistics", "Whose numbers do you want to see?",
			// XEP-0133 §4.10 says accountjid; some clients write accountjids, as for its neighbours.
			oneAccount, form.Field{Var: "accountjids", Type: "jid-multi", Label: "The same, as some clients name it"})),
	}
}

// userRoster is XEP-0133 §4.8: a roster stands in the form.
func (a people) userRoster(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	list, err := a.own(ctx, c, "accountjids")
	if err != nil {
		return nil, err
	}
	out := &im.Outcome{}
	for _, who := range list {
		items, _, err := a.Rosters.Roster(ctx, who)
		if err != nil {
			return nil, err
		}
		query := elem.New(roster.Space, "query")
		for i := range items {
			query.Add(items[i].Element())
		}
		f := form.New("result", Space).Add("", "accountjids", "", who.String())
		out.Payload = append(out.Payload, f.Element().Add(query))
	}
	return out, nil
}

// lastLogin is XEP-0133 §4.9, in the DateTime profile (XEP-0082 §3.2).
func (a people) lastLogin(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	list, err := a.own(ctx, c, "accountjids")
	if err != nil {
		return nil, err
	}
	out := &im.Outcome{}
	for _, who := range list {
		v, err := a.Visits.Get(ctx, who)
		if err != nil {
			return nil, err
		}
		f := form.New("result", Space).Add("", "accountjids", "", who.String())
		if v.Times > 0 {
			f.Add("text-single", "lastlogin", "", v.Last.UTC().Format(time.RFC3339))
		} else {
			out.Notes = append(out.Notes, im.Note{Type: "info", Text: who.String() + " has not logged in yet"})
		}
		out.Payload = append(out.Payload, f.Element())
	}
	return out, nil
}

// userStats is XEP-0133 §4.10.
func (a people) userStats(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	list, err := a.own(ctx, c, "accountjid")
	if err == nil && len(list) == 0 {
		list, err = a.own(ctx, c, "accountjids")
	}
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, mend("statistics are of one account: which one?")
	}
	who := list[0]
	items, _, err := a.Rosters.Roster(ctx, who)
	if err != nil {
		return nil, err
	}
	v, err := a.Visits.Get(ctx, who)
	if err != nil {
		return nil, err
	}
	now := a.Now()
	var from, resources []string
	perSecond := 0.0
	for _, s := range a.Routes.Sessions(who) {
		resources = append(resources, s.JID().Resource())
		if addr := s.Source(); addr.IsValid() && !slices.Contains(from, addr.String()) {
			from = append(from, addr.String())
		}
		perSecond += float64(s.Handled()) / max(1, now.Sub(s.Bound()).Seconds())
	}
	perMinute := 0.0
	if v.Times > 0 {
		perMinute = float64(v.Times) / max(1, now.Sub(v.First).Minutes())
	}
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', 3, 64) }
	return result(
		form.Field{Var: "ipaddresses", Type: "text-multi", Label: "Addresses of the sessions", Values: from},
		form.Field{Var: "rostersize", Type: "text-single", Label: "Contacts", Values: []string{strconv.Itoa(len(items))}},
		form.Field{Var: "onlineresources", Type: "text-multi", Label: "Resources", Values: resources},
		form.Field{Var: "stanzaspersecond", Type: "text-single", Label: "Stanzas per second from these sessions", Values: []string{number(perSecond)}},
		form.Field{Var: "loginsperminute", Type: "text-single", Label: "Logins per minute since the first", Values: []string{number(perMinute)}},
	), nil
}

// presence of one account with sessions.
type standing struct{ online, active bool }

// standings are the accounts of a host that have sessions. Online: one of them
// is available. Active: one of those is neither away nor put aside by its client.
func (a admin) standings(host jid.JID) map[jid.JID]standing {
	out := map[jid.JID]standing{}
	for s := range a.bound() {
		who := s.JID().Bare()
		if who.Domain() != host.Domain() {
			continue
		}
		st := out[who]
		if p := s.Presence(); p.Available {
			st.online = true
			if !idle(p.Stanza) && !s.Flags().Inactive {
				st.active = true
			}
		}
		out[who] = st
	}
	return out
}

// idle says whether a presence is away or xa (RFC 6121 §4.7.2.1).
func idle(st *stanza.Stanza) bool {
	if st == nil {
		return false
	}
	show := st.Text(stanza.Space, "show")
	return show == "away" || show == "xa"
}
