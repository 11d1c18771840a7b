package account

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestInvites_life(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		ctx := t.Context()
		zoe := jid.MustParse("zoe@acme.test")
		mint := func(i Invite) string {
			t.Helper()
			i.Inviter = alice
			token, _, err := s.Invites.Mint(ctx, i, time.Hour)
			if err != nil || len(token) < 26 {
				t.Fatal(token, err)
			}
			return token
		}
		wants := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		token := mint(Invite{Account: true, Contact: true})
		i, err := s.Invites.Find(ctx, token)
		if err != nil || i.Inviter != alice || !i.Account || !i.Contact || i.Name != "" {
			t.Fatalf("%+v %v", i, err)
		}
		_, err = s.Invites.Find(ctx, token[1:])
		wants("a guess", err, ErrNoToken)
		_, err = s.Invites.Register(ctx, token, alice, good)
		wants("a name that is taken", err, ErrExists)
		_, err = s.Invites.Register(ctx, token, zoe, "short")
		if _, ok := errors.AsType[*Refused](err); !ok {
			t.Errorf("%v", err)
		}
		_, err = s.Invites.Register(ctx, token, jid.MustParse("zoe@other.test"), good)
		wants("another domain", err, ErrNoToken)
		_, err = s.Invites.Register(ctx, token, zoe, good)
		wants("what failed has not used it up (XEP-0445 §4)", err, nil)
		_, err = s.Invites.Register(ctx, token, jid.MustParse("zoe2@acme.test"), good)
		wants("twice", err, ErrNoToken)
		if ok, _ := s.Exists(ctx, jid.MustParse("zoe2@acme.test")); ok {
			t.Error("the account was made all the same")
		}
		contact := mint(Invite{Contact: true})
		_, err = s.Invites.Register(ctx, contact, jid.MustParse("zoe2@acme.test"), good)
		wants("one for a contact alone", err, ErrNoToken)
		for n, c := range []struct {
			by jid.JID
			ok bool
		}{{zoe, false}, {alice, true}, {alice, false}} {
			if ok, err := s.Invites.Spend(ctx, contact, c.by); ok != c.ok || err != nil {
				t.Errorf("%d: %v %v", n, ok, err)
			}
		}
		late := mint(Invite{Account: true})
		s.c.add(time.Hour)
		_, err = s.Invites.Find(ctx, late)
		wants("over", err, ErrNoToken)
		_, err = s.Invites.Register(ctx, late, jid.MustParse("zoe3@acme.test"), good)
		wants("begun in time, finished late (XEP-0445 §4)", err, nil)
	})
}

func TestInvites_names(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		ctx := t.Context()
		yuri := jid.MustParse("yuri@acme.test")
		token, _, err := s.Invites.Mint(ctx, Invite{Inviter: alice, Name: "yuri", Account: true}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		open, _, err := s.Invites.Mint(ctx, Invite{Inviter: alice, Account: true}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]error{"yuri": ErrReserved, "alice": ErrExists, "a@b": ErrName} {
			if _, _, err := s.Invites.Mint(ctx, Invite{Inviter: alice, Name: name, Account: true}, time.Hour); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
		for what, c := range map[string]struct {
			token string
			who   jid.JID
		}{"by nobody": {"", yuri}, "by another invitation": {open, yuri}, "another name": {token, jid.MustParse("x@acme.test")}} {
			if _, err := s.Invites.Register(ctx, c.token, c.who, good); !errors.Is(err, ErrReserved) {
				t.Errorf("%s: %v", what, err)
			}
		}
		s.c.add(time.Hour)
		if _, err := s.Invites.Register(ctx, "", yuri, good); err != nil {
			t.Errorf("the reservation is over: %v", err)
		}
	})
}

// HARDENING A12: what an account has given out is over with it.
func TestInvites_endWithTheInviter(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		token, _, err := s.Invites.Mint(ctx, Invite{Inviter: alice, Account: true}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		find := func(want error) {
			t.Helper()
			if _, err := s.Invites.Find(ctx, token); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		find(nil)
		_ = s.Disable(ctx, alice, true)
		find(ErrNoToken)
		_ = s.Disable(ctx, alice, false)
		find(nil)
		_ = s.Remove(ctx, alice)
		s.create(t, alice)
		find(ErrNoToken)
	})
}

func TestInvites_oneOfManyAtOnce(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		token, _, err := s.Invites.Mint(t.Context(), Invite{Inviter: alice, Account: true}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for i := range 8 {
			wg.Go(func() {
				if _, err := s.Invites.Register(t.Context(), token, jid.MustParse(fmt.Sprintf("p%d@acme.test", i)), good); err == nil {
					mu.Lock()
					made++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if made != 1 {
			t.Errorf("%d accounts of one invitation", made)
		}
		if n, err := s.Count(t.Context()); n != 2 || err != nil {
			t.Errorf("%d accounts, %v", n, err)
		}
	})
}

func TestInvites_notWithoutEnd(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		var err error
		n := 0
		for ; err == nil && n < 500; n++ {
			_, _, err = s.Invites.Mint(t.Context(), Invite{Inviter: alice, Contact: true}, time.Hour)
		}
		if !errors.Is(err, ErrInvites) || n != invitesMost+1 {
			t.Errorf("%d: %v", n, err)
		}
	})
}

// HARDENING A10, A7.
func TestInvites_tokensAreNotStored(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		seen := map[string]bool{}
		for range 50 {
			token, _, err := s.Invites.Mint(t.Context(), Invite{Inviter: alice, Contact: true}, time.Hour)
			if err != nil || seen[token] || strings.Trim(token, "abcdefghijklmnopqrstuvwxyz234567") != "" {
				t.Fatal(token, err)
			}
			seen[token] = true
		}
	})
}

func TestGuests_comeAndGo(t *testing.T) {
	g := NewGuests(func(domain string) int { return map[string]int{"acme.test": 2, "b.test": 1}[domain] })
	a, err1 := g.Enter("acme.test")
	b, err2 := g.Enter("acme.test")
	if err1 != nil || err2 != nil || a == b || !g.Is(a) {
		t.Fatal(a, b, err1, err2)
	}
	if _, err := g.Enter("acme.test"); condition(t, err) != "temporary-auth-failure" {
		t.Errorf("%v", err)
	}
	g.Leave(a)
	if c, err := g.Enter("acme.test"); err != nil || g.Is(a) || c == a {
		t.Error(c, err)
	}
	if other, err := g.Enter("b.test"); err != nil || other.Domain() != "b.test" || !g.Is(other) {
		t.Error("the guests of one host took the place of another's", other, err)
	}
	if _, err := g.Enter("c.test"); condition(t, err) != "temporary-auth-failure" {
		t.Errorf("a host without guests: %v", err)
	}
	if (*Guests)(nil).Is(a) {
		t.Error("nobody has guests")
	}
}
