package device

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

var (
	host  = jid.MustParse("acme.test")
	alice = jid.MustParse("alice@acme.test/desk")
	away  = jid.MustParse("alice@other.test/desk")
	guest = jid.MustParse("guest-1@acme.test/x")
)

// shelf is the devices of one account.
type shelf struct {
	owner jid.JID
	list  []account.Known
}

func (s *shelf) List(_ context.Context, who jid.JID) ([]account.Known, error) {
	if who != s.owner {
		return nil, nil
	}
	return s.list, nil
}

func (s *shelf) Revoke(_ context.Context, who jid.JID, device string) error {
	for i, k := range s.list {
		if who == s.owner && k.ID == device {
			s.list = append(s.list[:i:i], s.list[i+1:]...)
			return nil
		}
	}
	return account.ErrNotFound
}

func world() (*shelf, im.Feature) {
	at := time.Date(2026, 11, 25, 10, 0, 0, 123, time.UTC)
	s := &shelf{owner: alice.Bare(), list: []account.Known{
		{Device: account.Device{ID: "a1", Software: "Chat 1", Name: "Phone"}, Created: at, Used: at.Add(time.Hour), Expires: at.Add(48 * time.Hour)},
		{Device: account.Device{ID: "a2"}, Created: at, Expires: at},
	}}
	return s, Feature(Config{Devices: s,
		Member: func(_ context.Context, who jid.JID) (bool, error) { return who != guest.Bare(), nil },
		Of: func(full jid.JID) string {
			if full == alice {
				return "a2"
			}
			return ""
		}})
}

func TestCommands_whoMay(t *testing.T) {
	_, f := world()
	for who, want := range map[jid.JID]bool{alice: true, away: false, guest: false} {
		for _, c := range f.Commands {
			if got, err := c.May(t.Context(), host, who); got != want || err != nil {
				t.Errorf("%s, %s: %v %v", c.Node, who, got, err)
			}
		}
	}
}

// XEP-0004 §3.4: a table, with the device it is asked from marked.
func TestList_table(t *testing.T) {
	_, f := world()
	out, err := f.Commands[0].Run(t.Context(), &im.Call{Host: host, Who: alice})
	if err != nil || len(out.Form.Items) != 2 {
		t.Fatalf("%+v %v", out, err)
	}
	for i, want := range [][]string{
		{"a1", "Chat 1 Phone", "", "2026-11-25T10:00:00Z", "2026-11-25T11:00:00Z", "2026-11-27T10:00:00Z"},
		{"a2", "a2", "yes", "2026-11-25T10:00:00Z", "", "2026-11-25T10:00:00Z"},
	} {
		for j, v := range want {
			if fd := out.Form.Items[i][j]; fd.Var != out.Form.Reported[j].Var || fd.Values[0] != v {
				t.Errorf("row %d: %+v, want %q", i, fd, v)
			}
		}
	}
	out, err = f.Commands[0].Run(t.Context(), &im.Call{Host: host, Who: jid.MustParse("bob@acme.test/x")})
	if err != nil || out.Form != nil || len(out.Notes) != 1 {
		t.Errorf("without a device: %+v %v", out, err)
	}
}

func TestRevoke_oneOfOnesOwn(t *testing.T) {
	s, f := world()
	c := f.Commands[1]
	call := &im.Call{Host: host, Who: alice}
	asked, err := c.Stages[0].Form(t.Context(), call)
	if err != nil || len(asked.Fields) != 2 || len(asked.Fields[1].Options) != 2 || asked.Fields[1].Options[1].Label != "a2, since 2026-11-25T10:00:00Z (this one)" {
		t.Fatalf("%+v %v", asked, err)
	}
	call.Forms = []*form.Form{form.New("submit", Revoke).Add("", "device", "", "a1")}
	if _, err := c.Run(t.Context(), call); err != nil || len(s.list) != 1 || s.list[0].ID != "a2" {
		t.Errorf("%v %+v", err, s.list)
	}
	refused := func(what string, err error) {
		if se, ok := errors.AsType[*stanza.Error](err); !ok || se.Condition != "item-not-found" {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = c.Run(t.Context(), call)
	refused("twice", err)
	bob := &im.Call{Host: host, Who: jid.MustParse("bob@acme.test/x"), Forms: []*form.Form{form.New("submit", Revoke).Add("", "device", "", "a2")}}
	_, err = c.Run(t.Context(), bob)
	refused("somebody else's", err)
	_, err = c.Stages[0].Form(t.Context(), bob)
	refused("nothing to choose", err)
}
