package account

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

var nobody = jid.MustParse("nobody@acme.test")

func TestPassword_table(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		s.create(t, bob)
		if err := s.Disable(ctx, bob, true); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			who      jid.JID
			password string
			want     string
		}{
			{alice, good, ""},
			{alice, "wrong", sasl.NotAuthorized},
			{alice, good + "\x07", sasl.NotAuthorized}, // not even preparable
			{nobody, good, sasl.NotAuthorized},
			{bob, "wrong", sasl.NotAuthorized}, // does not learn that it is disabled
			{bob, good, sasl.AccountDisabled},  // RFC 6120 §6.5.2
		} {
			if got := condition(t, s.Login(here).Password(ctx, c.who, c.password)); got != c.want {
				t.Errorf("%s %q: %q, want %q", c.who, c.password, got, c.want)
			}
		}
		if err := s.SetPassword(ctx, alice, "another-voyage-20"); err != nil {
			t.Fatal(err)
		}
		if got := condition(t, s.Login(here).Password(ctx, alice, good)); got != sasl.NotAuthorized {
			t.Errorf("old password after a change: %q", got)
		}
		if got := condition(t, s.Login(here).Password(ctx, alice, "another-voyage-20")); got != "" {
			t.Errorf("new password: %q", got)
		}
	})
}

func TestPassword_isNormalised(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		// RFC 4013: NFKC, and no-break space is a space.
		if err := s.Create(t.Context(), alice, "Grüße an Ⅸ Leute", Options{}); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"Grüße an Ⅸ Leute", "Gru\u0308ße\u00a0an IX Leute"} {
			if got := condition(t, s.Login(here).Password(t.Context(), alice, p)); got != "" {
				t.Errorf("%q: %s", p, got)
			}
		}
	})
}

// TestA6_sameWorkForUnknownAccounts compares structure, not time: the same keys
// in shape and the same number of statements.
func TestA6_sameWorkForUnknownAccounts(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		for _, h := range []sasl.Hash{sasl.SHA1, sasl.SHA256} {
			real, err := s.Login(here).SCRAM(ctx, alice, h)
			if err != nil || !real.Known {
				t.Fatal(real.Known, err)
			}
			made, err := s.Login(here).SCRAM(ctx, nobody, h)
			if err != nil || made.Known {
				t.Fatal(made.Known, err)
			}
			if len(real.Salt) != len(made.Salt) || real.Iterations != made.Iterations ||
				len(real.StoredKey) != len(made.StoredKey) || len(real.ServerKey) != len(made.ServerKey) {
				t.Errorf("%s: a made-up key looks different", h)
			}
			again, _ := s.Login(netip.MustParseAddr("198.51.100.7")).SCRAM(ctx, nobody, h)
			other, _ := s.Login(here).SCRAM(ctx, jid.MustParse("nobody2@acme.test"), h)
			if !bytes.Equal(made.Salt, again.Salt) || bytes.Equal(made.Salt, other.Salt) {
				t.Errorf("%s: a made-up salt must be stable, and different from others", h)
			}
		}
		// The salt survives a restart.
		before, _ := s.Login(here).SCRAM(ctx, nobody, sasl.SHA256)
		s2, err := New(ctx, s.db, Config{Iterations: 64})
		if err != nil {
			t.Fatal(err)
		}
		after, _ := s2.Login(here).SCRAM(ctx, nobody, sasl.SHA256)
		if !bytes.Equal(before.Salt, after.Salt) || !bytes.Equal(before.StoredKey, after.StoredKey) {
			t.Error("a made-up salt changed with a restart")
		}
	})
}

func TestA6_importedIterationsDoNotGiveAccountsAway(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		k, err := sasl.Derive(sasl.SHA256, good, []byte("another salt, twenty"), 77)
		if err != nil {
			t.Fatal(err)
		}
		err = s.db.Write(ctx, func(tx *store.Tx) error {
			_, err := insert(tx, Account{JID: alice}, map[sasl.Hash]sasl.Keys{sasl.SHA256: k})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s2, err := New(ctx, s.db, Config{})
		if err != nil {
			t.Fatal(err)
		}
		made, _ := s2.Login(here).SCRAM(ctx, nobody, sasl.SHA256)
		if made.Iterations != 77 || len(made.Salt) != 20 {
			t.Errorf("made-up keys have %d iterations and %d bytes of salt; all real ones 77 and 20", made.Iterations, len(made.Salt))
		}
		// The account has no key for SHA-1: that is as if it did not exist.
		sha1, err := s2.Login(here).SCRAM(ctx, alice, sasl.SHA1)
		if err != nil || sha1.Known || len(sha1.StoredKey) != 20 {
			t.Errorf("keys for a hash the account lacks: %+v, %v", sha1, err)
		}
		if got := condition(t, s2.Login(here).Password(ctx, alice, good)); got != "" {
			t.Errorf("PLAIN with the only key: %s", got)
		}
	})
}

func TestToken_saslSide(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		web, err := s.MintToken(ctx, alice, Web, WebTTL)
		if err != nil {
			t.Fatal(err)
		}
		tok, _, err := s.MintChild(ctx, web, Web, Stream, StreamTTL)
		if err != nil {
			t.Fatal(err)
		}
		if who, err := s.Login(here).Token(ctx, tok); err != nil || who != alice {
			t.Errorf("%v %v", who, err)
		}
		// The cookie itself opens no stream.
		if _, err := s.Login(here).Token(ctx, web); condition(t, err) != sasl.NotAuthorized {
			t.Errorf("web token on a stream: %v", err)
		}
	})
}

// TestA9_hashingIsBounded: with every slot taken a password waits, and leaves
// with its connection.
func TestA9_hashingIsBounded(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		for range cap(s.hashing) {
			s.hashing <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		// The cancelled context would also fail the look-up, so that comes from memory.
		s.cache.put(alice, &record{}, 0)
		if err := s.Login(here).Password(ctx, alice, good); err != context.Canceled {
			t.Errorf("got %v", err)
		}
		<-s.hashing
		if got := condition(t, s.Login(here).Password(t.Context(), alice, good)); got != sasl.NotAuthorized {
			t.Errorf("got %q", got)
		}
	})
}

func TestA8_loginsAreLimited(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		s.create(t, bob)
		phone, attacker := netip.MustParseAddr("192.0.2.9"), s.Login(netip.MustParseAddr("198.51.100.1"))
		if got := condition(t, s.Login(phone).Password(ctx, alice, good)); got != "" {
			t.Fatal(got)
		}
		for _, who := range []jid.JID{alice, nobody} {
			failed := 0
			for range 1000 {
				f := attacker.Password(ctx, who, "guess")
				if condition(t, f) == sasl.NotAuthorized {
					failed++
				}
			}
			if failed == 0 || failed > 20 {
				t.Errorf("%s: %d guesses at once, want at most 20", who, failed)
			}
		}
		err := attacker.Password(ctx, alice, good)
		if condition(t, err) != sasl.TemporaryAuthFailure {
			t.Errorf("right password after too many guesses: %v", err)
		} else if f := err.(*sasl.Failure); f.Retry <= 0 || f.Retry > 10*time.Minute {
			t.Errorf("retry after %v", f.Retry)
		}
		if got := condition(t, s.Login(phone).Password(ctx, alice, good)); got != "" {
			t.Errorf("the owner's phone: %s", got)
		}
		if got := condition(t, s.Login(here).Password(ctx, bob, good)); got != "" {
			t.Errorf("someone else: %s", got)
		}
		s.c.add(10 * time.Minute)
		if got := condition(t, attacker.Password(ctx, alice, good)); got != "" {
			t.Errorf("ten minutes later: %s", got)
		}
	})
}

func TestA8_scramProofsCount(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		// Exchanges begun together pass Allow together; their verdicts do not.
		var keys []sasl.Keys
		for range 200 {
			k, err := s.Login(here).SCRAM(ctx, alice, sasl.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, k)
		}
		judged := 0
		for _, k := range keys {
			if k.Verdict(false) == nil {
				judged++
			}
		}
		if judged == 0 || judged > 20 {
			t.Errorf("%d proofs judged, want at most 20", judged)
		}
		k := keys[0]
		if got := condition(t, k.Verdict(true)); got != sasl.TemporaryAuthFailure {
			t.Errorf("a right proof among too many wrong ones: %q", got)
		}
	})
}
