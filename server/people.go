package server

import (
	"context"

	"github.com/parlance-im/parlance/feature/people"
	"github.com/parlance-im/parlance/feature/vcard"
	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
)

// People is how people find each other.
type People struct {
	Search bool `toml:"search" host:"yes" doc:"Everybody with an account of the host finds its people by name, address or e-mail (XEP-0055). Guests and other hosts' people do not. Set false where anybody may register."`
}

// directory is XEP-0055 over the accounts and their cards.
func directory(c *core) im.Feature {
	return people.Feature(people.Config{
		On: func(domain string) bool { return c.hosts.config(domain).People.Search },
		Some: func(ctx context.Context, domain, after string, n int) ([]people.Account, error) {
			list, err := account.Of(c.accounts, domain).List(ctx, after, n, false)
			if err != nil || len(list) == 0 {
				return nil, err
			}
			cards, err := vcard.Cards(ctx, c.db, domain, list[0].JID, list[len(list)-1].JID)
			if err != nil {
				return nil, err
			}
			out := make([]people.Account, 0, len(list))
			for _, a := range list {
				out = append(out, people.Account{JID: a.JID, Name: a.Name, Card: cards[a.JID.String()], Off: a.Disabled})
			}
			return out, nil
		},
	})
}
