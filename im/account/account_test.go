package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	alice = jid.MustParse("alice@acme.test")
	bob   = jid.MustParse("bob@acme.test")
	here  = netip.MustParseAddr("192.0.2.1")
)

const good = "tomato-voyage-19" // a password that is not refused

// clock is a time that moves when told.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// fix is a Store under test with cheap keys.
type fix struct {
	*Store
	db   *store.DB
	c    *clock
	held string // a token
}

func run(t *testing.T, f func(t *testing.T, s fix)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
			t.Fatal(err)
		}
		c := newClock()
		s, err := New(t.Context(), db, Config{Iterations: 64, Now: c.now})
		if err != nil {
			t.Fatal(err)
		}
		f(t, fix{Store: s, db: db, c: c})
	})
}

func (s fix) create(t *testing.T, who jid.JID) {
	t.Helper()
	if err := s.Create(t.Context(), who, good, Options{Name: who.Local()}); err != nil {
		t.Fatal(err)
	}
}

// condition is the SASL condition of an error, "" for none.
func condition(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	f, ok := errors.AsType[*sasl.Failure](err)
	if !ok {
		t.Fatalf("%v is no *sasl.Failure", err)
	}
	return f.Condition
}

func TestAccount_life(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		if _, err := s.Get(ctx, alice); !errors.Is(err, ErrNotFound) {
			t.Fatalf("Get before Create: %v", err)
		}
		if ok, err := s.Exists(ctx, alice); ok || err != nil {
			t.Fatalf("Exists before Create: %v %v", ok, err)
		}
		if err := s.Create(ctx, alice, good, Options{Name: "Alice Liddell", Admin: true}); err != nil {
			t.Fatal(err)
		}
		a, err := s.Get(ctx, alice)
		want := Account{JID: alice, Name: "Alice Liddell", Admin: true, Created: s.c.now()}
		if err != nil || a != want {
			t.Fatalf("Get: %+v %v, want %+v", a, err, want)
		}
		if err := s.Create(ctx, alice, good, Options{}); !errors.Is(err, ErrExists) {
			t.Errorf("second Create: %v", err)
		}
		// RFC 7622: case variants are one address, so one account.
		if err := s.Create(ctx, jid.MustParse("ALICE@Acme.Test"), good, Options{}); !errors.Is(err, ErrExists) {
			t.Errorf("Create of a case variant: %v", err)
		}
		if ok, err := s.Exists(ctx, jid.MustParse("alice@acme.test/phone")); !ok || err != nil {
			t.Errorf("Exists: %v %v", ok, err)
		}
		for _, f := range []func() error{
			func() error { return s.SetName(ctx, alice, "A. L.") },
			func() error { return s.SetAdmin(ctx, alice, false) },
			func() error { return s.Disable(ctx, alice, true) },
		} {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}
		want.Name, want.Admin, want.Disabled = "A. L.", false, true
		if a, err = s.Get(ctx, alice); err != nil || a != want {
			t.Errorf("after changes: %+v %v, want %+v", a, err, want)
		}
		if ok, err := s.Active(ctx, alice); ok || err != nil {
			t.Errorf("Active of a disabled account: %v %v", ok, err)
		}
		if err := s.Remove(ctx, alice); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.Exists(ctx, alice); ok || err != nil {
			t.Errorf("Exists after Remove: %v %v", ok, err)
		}
	})
}

func TestAccount_unknownIsNotFound(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		for what, err := range map[string]error{
			"SetPassword": s.SetPassword(ctx, alice, good), "Disable": s.Disable(ctx, alice, true), "enable": s.Disable(ctx, alice, false),
			"Remove": s.Remove(ctx, alice), "SetAdmin": s.SetAdmin(ctx, alice, true), "SetName": s.SetName(ctx, alice, "x"),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		for _, j := range []string{"acme.test", "alice@acme.test/phone"} {
			if err := s.Create(ctx, jid.MustParse(j), good, Options{}); !errors.Is(err, ErrName) {
				t.Errorf("Create %s: %v", j, err)
			}
		}
	})
}

func TestList_pages(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		var want, got []string
		for i := range 7 {
			j := jid.MustParse(fmt.Sprintf("user%d@acme.test", i))
			s.create(t, j)
			want = append(want, j.String())
		}
		after := ""
		for {
			page, err := s.List(t.Context(), after, 3)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, a := range page {
				got = append(got, a.JID.String())
			}
			after = got[len(got)-1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		if n, err := s.Count(t.Context()); n != 7 || err != nil {
			t.Errorf("Count: %d %v", n, err)
		}
	})
}

func TestA7_noPasswordIsStored(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		err := s.db.Read(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT salt, stored_key, server_key, iterations FROM account_key`)
			if err != nil {
				return err
			}
			defer rows.Close()
			salts := map[string]bool{}
			for rows.Next() {
				var salt, stored, server []byte
				var n int
				if err := rows.Scan(&salt, &stored, &server, &n); err != nil {
					return err
				}
				if len(salt) < 16 || salts[string(salt)] || n != 64 {
					t.Errorf("salt of %d bytes, iterations %d", len(salt), n)
				}
				salts[string(salt)] = true
				if strings.Contains(string(salt)+string(stored)+string(server), good) {
					t.Error("the password is in the table")
				}
			}
			if len(salts) != 3 {
				t.Errorf("%d keys, want one each for SHA-1, SHA-256 and SHA-512", len(salts))
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		st, err := New(t.Context(), s.db, Config{})
		if err != nil || st.conf.Iterations < 10000 { // 3 keys, want oneEP-0438 §4
			t.Errorf("default iterations %d, %v", st.conf.Iterations, err)
		}
	})
}

func TestA12_whatEndsALogin(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		var told []jid.JID
		s.OnRevoke(func(j jid.JID) { told = append(told, j) })
		s.create(t, alice)
		s.create(t, bob)
		steps := []struct {
			name string
			do   func() error
			ends bool
		}{
			{"set name", func() error { return s.SetName(ctx, alice, "x") }, false},
			{"set password", func() error { return s.SetPassword(ctx, alice, good+"2") }, true},
			{"disable", func() error { return s.Disable(ctx, alice, true) }, true},
			{"enable", func() error { return s.Disable(ctx, alice, false) }, false},
			{"remove", func() error { return s.Remove(ctx, alice) }, true},
		}
		for _, st := range steps {
			began := s.c.now()
			web, err := s.MintToken(ctx, alice, Web, WebTTL)
			if err != nil {
				t.Fatal(err)
			}
			other, err := s.MintToken(ctx, bob, Web, WebTTL)
			if err != nil {
				t.Fatal(err)
			}
			s.c.add(time.Second)
			told = nil
			if err := st.do(); err != nil {
				t.Fatal(st.name, err)
			}
			if ends := len(told) == 1 && told[0] == alice; ends != st.ends {
				t.Errorf("%s: told %v", st.name, told)
			}
			_, err = s.CheckToken(ctx, web, Web)
			if st.ends != errors.Is(err, ErrNoToken) {
				t.Errorf("%s: token: %v", st.name, err)
			}
			if s.Revoked(alice, began) != st.ends {
				t.Errorf("%s: Revoked %v", st.name, !st.ends)
			}
			if s.Revoked(alice, s.c.now().Add(time.Nanosecond)) || s.Revoked(bob, began) {
				t.Errorf("%s: revokes what it should not", st.name)
			}
			if _, err := s.CheckToken(ctx, other, Web); err != nil {
				t.Errorf("%s: another's token: %v", st.name, err)
			}
			s.c.add(time.Minute)
		}
	})
}

func TestRemove_takesWhatOthersKeep(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		refuse := errors.New("not now")
		var err error
		s.OnRemove(func(_ context.Context, tx *store.Tx, who jid.JID) error {
			if err != nil {
				return err
			}
			_, err := tx.Exec(`INSERT INTO setting (name, value) VALUES ($1, $2)`, "gone "+who.String(), []byte("x"))
			return err
		})
		err = refuse
		if got := s.Remove(ctx, alice); !errors.Is(got, refuse) {
			t.Fatalf("Remove: %v", got)
		}
		if ok, _ := s.Exists(ctx, alice); !ok {
			t.Error("the account went although a callback failed")
		}
		if condition(t, s.Login(here).Password(ctx, alice, good)) != "" {
			t.Error("the keys went although a callback failed")
		}
		err = nil
		if got := s.Remove(ctx, alice); got != nil {
			t.Fatal(got)
		}
		var n int
		if err := s.db.Read(ctx, func(tx *store.Tx) error {
			return tx.Row(`SELECT (SELECT count(*) FROM setting WHERE name = $1) + (SELECT count(*) FROM account_key)`, "gone "+alice.String()).Scan(&n)
		}); err != nil || n != 1 {
			t.Errorf("callback ran and keys went: %d, %v", n, err)
		}
	})
}

func TestCache_neverKeepsWhatWasReadBeforeAChange(t *testing.T) {
	c := newCache(2)
	_, g := c.get(alice)
	c.drop(alice)
	c.put(alice, &record{}, g) // read before the change, put after it
	if r, _ := c.get(alice); r != nil {
		t.Error("an old record is kept")
	}
	_, g = c.get(alice)
	c.put(alice, &record{exists: true}, g)
	c.put(bob, &record{}, g)
	c.get(alice)
	c.put(jid.MustParse("carol@acme.test"), &record{}, g)
	if r, _ := c.get(alice); r == nil {
		t.Error("the record used last is gone")
	}
	if r, _ := c.get(bob); r != nil || c.order.Len() != 2 || len(c.byJID) != 2 {
		t.Error("more records than fit")
	}
}
