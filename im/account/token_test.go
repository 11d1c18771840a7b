package account

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func (s fix) wantToken(t *testing.T, token string, kind Kind, want bool) {
	t.Helper()
	who, err := s.CheckToken(t.Context(), token, kind)
	if want && (err != nil || who != alice) {
		t.Errorf("token: %v %v", who, err)
	}
	if !want && !errors.Is(err, ErrNoToken) {
		t.Errorf("dead token: %v %v", who, err)
	}
}

func TestToken_life(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		web, err := s.MintToken(ctx, alice, Web, WebTTL)
		if err != nil {
			t.Fatal(err)
		}
		child, who, err := s.MintChild(ctx, web, Web, Stream, StreamTTL)
		if err != nil || who != alice {
			t.Fatal(who, err)
		}
		s.wantToken(t, web, Web, true)
		s.wantToken(t, child, Stream, true)
		s.wantToken(t, web, Stream, false)
		s.wantToken(t, child, Web, false)
		for _, no := range []string{"", "x", web + "x", web[1:]} {
			s.wantToken(t, no, Web, false)
		}
		if _, _, err := s.MintChild(ctx, child, Web, Stream, StreamTTL); !errors.Is(err, ErrNoToken) {
			t.Errorf("child of a child: %v", err)
		}
		s.c.add(StreamTTL)
		s.wantToken(t, child, Stream, false)
		s.wantToken(t, web, Web, true)
		s.c.add(WebTTL - StreamTTL - time.Minute)
		last, _, err := s.MintChild(ctx, web, Web, Stream, StreamTTL)
		if err != nil {
			t.Fatal(err)
		}
		s.c.add(time.Minute)
		s.wantToken(t, web, Web, false)
		s.wantToken(t, last, Stream, false) // lives no longer than its parent
	})
}

func TestToken_signOutKillsTheChildren(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		web, _ := s.MintToken(ctx, alice, Web, WebTTL)
		other, _ := s.MintToken(ctx, alice, Web, WebTTL)
		child, _, err := s.MintChild(ctx, web, Web, Stream, StreamTTL)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.RevokeToken(ctx, web); err != nil {
				t.Fatal(err)
			}
		}
		s.wantToken(t, web, Web, false)
		s.wantToken(t, child, Stream, false)
		s.wantToken(t, other, Web, true)
	})
}

func TestToken_disabledAccountHasNone(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		if err := s.Disable(ctx, alice, true); err != nil {
			t.Fatal(err)
		}
		// One that came into being while the account was being disabled.
		web, err := s.MintToken(ctx, alice, Web, WebTTL)
		if err != nil {
			t.Fatal(err)
		}
		s.wantToken(t, web, Web, false)
		if _, _, err := s.MintChild(ctx, web, Web, Stream, StreamTTL); !errors.Is(err, ErrNoToken) {
			t.Errorf("child: %v", err)
		}
	})
}

func TestToken_setupWorksOnce(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		old, err := s.MintToken(ctx, jid.JID{}, Setup, SetupTTL)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := s.MintToken(ctx, jid.JID{}, Setup, SetupTTL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.TakeToken(ctx, old, Setup); !errors.Is(err, ErrNoToken) {
			t.Errorf("the token of an earlier start: %v", err)
		}
		var wg sync.WaitGroup
		var got atomic.Int32
		for range 8 {
			wg.Go(func() {
				if _, err := s.TakeToken(ctx, tok, Setup); err == nil {
					got.Add(1)
				} else if !errors.Is(err, ErrNoToken) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got.Load() != 1 {
			t.Errorf("taken %d times", got.Load())
		}
		late, _ := s.MintToken(ctx, jid.JID{}, Setup, SetupTTL)
		s.c.add(SetupTTL)
		if _, err := s.TakeToken(ctx, late, Setup); !errors.Is(err, ErrNoToken) {
			t.Errorf("after 30 minutes: %v", err)
		}
	})
}

func TestA10_tokensAreRandomAndStoredAsHashes(t *testing.T) {
	seen := map[string]bool{}
	// As many as the catalogue asks for, of the two ways there are: the other is rand.Text.
	n := 1_000_000
	if testing.Short() {
		n = 10_000
	}
	for range n {
		text := rand.Text()
		if seen[text] || len(text)*5 < 128 {
			t.Fatalf("text %q", text)
		}
		seen[text] = true
	}
	for range n {
		tok, hash := newToken()
		raw, err := base64.RawURLEncoding.DecodeString(tok)
		if err != nil || len(raw)*8 < 128 || seen[tok] || len(hash) != 32 {
			t.Fatalf("token %q, hash of %d bytes", tok, len(hash))
		}
		seen[tok] = true
	}
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		tok, err := s.MintToken(t.Context(), alice, Web, WebTTL)
		if err != nil {
			t.Fatal(err)
		}
		var hash []byte
		if err := s.db.Read(t.Context(), func(tx *store.Tx) error { return tx.Row(`SELECT hash FROM token`).Scan(&hash) }); err != nil {
			t.Fatal(err)
		}
		if string(hash) == tok || string(hash) != string(hashToken(tok)) {
			t.Error("the token itself is stored")
		}
	})
}

func TestToken_whatIsOverIsDeleted(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		for range 5 {
			if _, err := s.MintToken(ctx, alice, Stream, StreamTTL); err != nil {
				t.Fatal(err)
			}
		}
		s.c.add(StreamTTL)
		if _, err := s.MintToken(ctx, alice, Stream, StreamTTL); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := s.db.Read(ctx, func(tx *store.Tx) error { return tx.Row(`SELECT count(*) FROM token`).Scan(&n) }); err != nil || n != 1 {
			t.Errorf("%d tokens, %v", n, err)
		}
	})
}
