package account

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

var phone = Device{ID: "d4565fa7-4d72-4749-b3d3-740edbf87770", Software: "Test 1", Name: "phone"}

const none = "HT-SHA-256-NONE"

// mint gives a token and moves the clock a little, as a login takes time.
func (s fix) mint(t *testing.T, who jid.JID, d Device) string {
	t.Helper()
	token, expires, err := s.Devices.Mint(t.Context(), who, d, none, s.c.now())
	if err != nil || expires.Sub(s.c.now()) > DefaultTokenLife || expires.Sub(s.c.now()) < DefaultTokenLife-time.Second {
		t.Fatal(expires, err)
	}
	s.c.add(time.Second)
	return token
}

// use logs in with a token as xmpp/sasl does, and gives the condition of the failure.
func (s fix) use(t *testing.T, who jid.JID, token string, u sasl.Use) (due bool, cond string) {
	t.Helper()
	if u.Device == "" {
		u.Device = phone.ID
	}
	sec, err := s.Login(here).Secrets(t.Context(), who, none, u)
	if err != nil {
		return false, condition(t, err)
	}
	if len(sec.Tokens) != 2 {
		t.Fatalf("%d tokens, want two for everybody (HARDENING A6)", len(sec.Tokens))
	}
	proven := -1
	for i, known := range sec.Tokens {
		if string(known) == token {
			proven = i
		}
	}
	due, err = sec.Verdict(t.Context(), proven)
	return due, condition(t, err)
}

var b64 = base64.StdEncoding.EncodeToString

func (s fix) wantUse(t *testing.T, what string, who jid.JID, token string, u sasl.Use, want string) {
	t.Helper()
	if _, got := s.use(t, who, token, u); got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

const refused = sasl.NotAuthorized

func TestFast_rotation(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		first := s.mint(t, alice, phone)
		if len(first) < 43 {
			t.Errorf("a token of %d characters; 256 bits have 43 (HARDENING A10)", len(first))
		}
		for range 2 {
			if due, c := s.use(t, alice, first, sasl.Use{}); due || c != "" {
				t.Fatal(due, c)
			}
		}
		s.c.add(DefaultTokenLife / rotations)
		if due, c := s.use(t, alice, first, sasl.Use{}); !due || c != "" {
			t.Errorf("due %v %q after its time", due, c)
		}
		second := s.mint(t, alice, phone)
		s.wantUse(t, "the old one while the new one was not used (XEP-0484 §3.5)", alice, first, sasl.Use{}, "")
		third := s.mint(t, alice, phone)
		s.wantUse(t, "one that was never used, after another", alice, second, sasl.Use{}, refused)
		s.wantUse(t, "the new one", alice, third, sasl.Use{}, "")
		s.wantUse(t, "the old one after the new one", alice, first, sasl.Use{}, refused)
		s.wantUse(t, "the new one again", alice, third, sasl.Use{}, "")
	})
}

func TestFast_expiry(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		token := s.mint(t, alice, phone)
		s.c.add(DefaultTokenLife)
		s.wantUse(t, "over", alice, token, sasl.Use{}, sasl.CredentialsExpired) // XEP-0484 §4.2
		s.wantUse(t, "a guess at the same time", alice, token+"x", sasl.Use{}, refused)
	})
}

func TestFast_counts(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		token := s.mint(t, alice, phone)
		for _, c := range []struct {
			count int64
			want  string
		}{{0, ""}, {0, ""}, {3, ""}, {3, refused}, {2, refused}, {0, refused}, {4, ""}, {1 << 30, ""}, {5, refused}} {
			s.wantUse(t, fmt.Sprint("count ", c.count), alice, token, sasl.Use{Count: c.count}, c.want)
		}
		s.mint(t, alice, phone)
		s.wantUse(t, "still counted beside a new one", alice, token, sasl.Use{Count: 6}, refused)
	})
}

// HARDENING A12: what kills a token.
func TestA12_tokensOfDevicesDie(t *testing.T) {
	kills := map[string]func(s fix) error{
		"another password": func(s fix) error { return s.SetPassword(t.Context(), alice, good+"2") },
		"disabled":         func(s fix) error { return s.Disable(t.Context(), alice, true) },
		"disabled and enabled": func(s fix) error {
			return errors.Join(s.Disable(t.Context(), alice, true), s.Disable(t.Context(), alice, false))
		},
		"removed": func(s fix) error { return s.Remove(t.Context(), alice) },
		"removed and made again": func(s fix) error {
			return errors.Join(s.Remove(t.Context(), alice), s.Create(t.Context(), alice, good, Options{}))
		},
		"revoked": func(s fix) error { return s.Devices.Revoke(t.Context(), alice, phone.ID) },
		"given up": func(s fix) error {
			_, err := s.use(t, alice, s.held, sasl.Use{Invalidate: true})
			return map[bool]error{true: errors.New(err)}[err != ""]
		},
	}
	run(t, func(t *testing.T, s fix) {
		for name, kill := range kills {
			_ = s.Create(t.Context(), alice, good, Options{})
			s.c.add(10 * time.Minute) // so that the limiter has forgotten
			s.held = s.mint(t, alice, phone)
			s.wantUse(t, "before", alice, s.held, sasl.Use{}, "")
			waiting := s.mint(t, alice, phone) // not used yet
			if err := kill(s); err != nil {
				t.Fatal(name, err)
			}
			s.wantUse(t, name, alice, s.held, sasl.Use{}, refused)
			if name != "given up" {
				s.wantUse(t, name+", the new one", alice, waiting, sasl.Use{}, refused)
			}
			_ = s.Remove(t.Context(), alice)
		}
	})
}

// A login that began before the password was changed gets nothing that outlives it.
func TestA12_nothingForALoginThatIsStale(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		began := s.c.now()
		s.c.add(time.Second)
		if err := s.SetPassword(t.Context(), alice, good+"2"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Devices.Mint(t.Context(), alice, phone, none, began); !errors.Is(err, ErrRevoked) {
			t.Errorf("%v", err)
		}
		salt, n := s.Upgrades.Salt()
		k, _ := sasl.Derive(sasl.SHA512, good, salt, n)
		if err := s.Upgrades.Add(t.Context(), alice, sasl.SHA512, k, began); !errors.Is(err, ErrRevoked) {
			t.Errorf("%v", err)
		}
	})
}

func TestFast_boundToAccountDeviceAndMechanism(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		s.create(t, bob)
		token := s.mint(t, alice, phone)
		s.mint(t, bob, phone)
		s.wantUse(t, "another account with the same device", bob, token, sasl.Use{}, refused)
		s.wantUse(t, "another device", alice, token, sasl.Use{Device: "other"}, refused)
		s.wantUse(t, "nobody", jid.MustParse("nobody@acme.test"), token, sasl.Use{}, refused)
		sec, err := s.Login(here).Secrets(t.Context(), alice, "HT-SHA-256-EXPR", sasl.Use{Device: phone.ID})
		if err != nil || strings.Contains(string(sec.Tokens[0])+string(sec.Tokens[1]), token) {
			t.Errorf("%v: good for another mechanism (XEP-0484 §3.4)", err)
		}
		s.wantUse(t, "its own", alice, token, sasl.Use{}, "")
	})
}

// HARDENING A7: who has the data set has no token.
func TestA7_noTokenIsStored(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		token := s.mint(t, alice, phone)
		other, err := New(t.Context(), s.db, Config{Iterations: 64, Now: s.c.now}) // without the key
		if err != nil {
			t.Fatal(err)
		}
		fix{Store: other, c: s.c}.wantUse(t, "the same rows, another key", alice, token, sasl.Use{}, refused)
		same, err := New(t.Context(), s.db, Config{Iterations: 64, Now: s.c.now, TokenKey: s.conf.TokenKey})
		if err != nil {
			t.Fatal(err)
		}
		fix{Store: same, c: s.c}.wantUse(t, "after a restart", alice, token, sasl.Use{}, "")
	})
}

func TestFast_devices(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		s.c.add(time.Minute)
		for i := range devicesMost + 5 {
			s.mint(t, alice, Device{ID: fmt.Sprint("device ", i), Software: strings.Repeat("ü", 300)})
		}
		list, err := s.Devices.List(t.Context(), alice)
		if err != nil || len(list) != devicesMost || list[0].ID != fmt.Sprint("device ", devicesMost+4) {
			t.Fatalf("%d devices, %v", len(list), err)
		}
		if n := len([]rune(list[0].Software)); n != 100 {
			t.Errorf("%d characters of its software", n)
		}
		var told string
		s.Devices.OnRevoke(func(who jid.JID, d string) { told = who.String() + " " + d })
		if err := s.Devices.Revoke(t.Context(), alice, list[0].ID); err != nil || told != "alice@acme.test "+list[0].ID {
			t.Errorf("%v %q", err, told)
		}
		if err := s.Devices.Revoke(t.Context(), alice, list[0].ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("twice: %v", err)
		}
	})
}

// HARDENING A8: guessing tokens is limited as guessing passwords is.
func TestA8_tokensAreNotGuessedForEver(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		token := s.mint(t, alice, phone)
		tries := 0
		for c := refused; c == refused; tries++ {
			_, c = s.use(t, alice, "guess", sasl.Use{})
			if tries > 100 {
				t.Fatal("no end of it")
			}
		}
		if tries > 21 {
			t.Errorf("%d guesses", tries)
		}
		s.wantUse(t, "the right one meanwhile", alice, token, sasl.Use{}, sasl.TemporaryAuthFailure)
	})
}

func TestFast_switchedOff(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		token := s.mint(t, alice, phone)
		off, err := New(t.Context(), s.db, Config{Iterations: 64, Now: s.c.now, TokenKey: s.conf.TokenKey, TokenLife: -1})
		if err != nil {
			t.Fatal(err)
		}
		fix{Store: off, c: s.c}.wantUse(t, "switched off", alice, token, sasl.Use{}, refused)
		if _, _, err := off.Devices.Mint(t.Context(), alice, phone, none, s.c.now()); !errors.Is(err, ErrNoToken) {
			t.Errorf("%v", err)
		}
	})
}

// old makes alice an account as it was before the server knew SHA-512.
func (s fix) old(t *testing.T) {
	t.Helper()
	s.create(t, alice)
	if _, err := s.Import(t.Context(), strings.NewReader("user,scram_sha1\nbob,4096:c2FsdHNhbHRzYWx0c2FsdA==:"+
		strings.Repeat("A", 27)+"=:"+strings.Repeat("A", 27)+"=\n"), Import{Domain: "acme.test", Iterations: 1000}); err != nil {
		t.Fatal(err)
	}
}

func TestLacking_followsTheAccounts(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		want := func(when, what string) {
			t.Helper()
			if got := fmt.Sprint(s.Upgrades.Lacking()); got != what {
				t.Errorf("%s: %s, want %s", when, got, what)
			}
		}
		want("nobody", "[]")
		s.old(t)
		want("one with SHA-1 alone", "[SHA-512 SHA-256]")
		if lacks, err := s.Upgrades.Lacks(t.Context(), bob, sasl.SHA512); !lacks || err != nil {
			t.Error(lacks, err)
		}
		if lacks, err := s.Upgrades.Lacks(t.Context(), alice, sasl.SHA512); lacks || err != nil {
			t.Error(lacks, err)
		}
		if err := s.Disable(t.Context(), bob, true); err != nil {
			t.Fatal(err)
		}
		want("he can't log in", "[]")
		if err := s.Disable(t.Context(), bob, false); err != nil {
			t.Fatal(err)
		}
		want("he can again", "[SHA-512 SHA-256]")
		s.c.add(time.Second)
		salt, n := s.Upgrades.Salt()
		for _, h := range []sasl.Hash{sasl.SHA512, sasl.SHA256} {
			k, err := sasl.Derive(h, good, salt, n)
			if err == nil {
				err = s.Upgrades.Add(t.Context(), bob, h, k, s.c.now())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		want("upgraded", "[]")
		reopened, err := New(t.Context(), s.db, Config{Iterations: 64})
		if err != nil || len(reopened.Upgrades.Lacking()) > 0 {
			t.Errorf("%v %v", reopened.Upgrades.Lacking(), err)
		}
	})
}

func TestUpgrade_neverReplacesKeys(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		salt, n := s.Upgrades.Salt()
		k, _ := sasl.Derive(sasl.SHA256, "another password", salt, n)
		if err := s.Upgrades.Add(t.Context(), alice, sasl.SHA256, k, s.c.now()); err != nil {
			t.Fatal(err)
		}
		if err := s.Login(netip.Addr{}).Password(t.Context(), alice, "another password"); err == nil {
			t.Error("an upgrade made another password good")
		}
		if err := s.Upgrades.Add(t.Context(), jid.MustParse("nobody@acme.test"), sasl.SHA256, k, s.c.now()); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

// XEP-0438 §6.3: with the password at hand the server makes the keys itself.
func TestPassword_makesTheKeysThatLack(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		k, err := sasl.Derive(sasl.SHA1, good, []byte("0123456789abcdef"), 4096)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("user,scram_sha1\nbob,4096:%s:%s:%s\n", b64(k.Salt), b64(k.StoredKey), b64(k.ServerKey))
		if _, err := s.Import(t.Context(), strings.NewReader(line), Import{Domain: "acme.test", Iterations: 1000}); err != nil {
			t.Fatal(err)
		}
		if err := s.Login(here).Password(t.Context(), bob, "wrong-"+good); err == nil || len(s.Upgrades.Lacking()) != 2 {
			t.Fatal(err, s.Upgrades.Lacking())
		}
		if err := s.Login(here).Password(t.Context(), bob, good); err != nil || len(s.Upgrades.Lacking()) != 0 {
			t.Fatal(err, s.Upgrades.Lacking())
		}
		got, err := s.Login(here).SCRAM(t.Context(), bob, sasl.SHA512)
		if err != nil || !got.Known {
			t.Fatal(got, err)
		}
		want, _ := sasl.Derive(sasl.SHA512, good, got.Salt, got.Iterations)
		if string(want.StoredKey) != string(got.StoredKey) {
			t.Error("keys of another password")
		}
	})
}
