package account

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

func benchStore(b *testing.B) *Store {
	b.Helper()
	db, err := store.Open(b.Context(), store.Options{DSN: filepath.Join(b.TempDir(), "bench.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := db.Migrate(b.Context(), []store.Migrations{Migrations()}); err != nil {
		b.Fatal(err)
	}
	s, err := New(b.Context(), db, Config{})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkImport: go test -run xxx -bench Import -benchtime 100000x ./im/account
func BenchmarkImport(b *testing.B) {
	s := benchStore(b)
	r, w := io.Pipe()
	n := b.N
	go func() {
		fmt.Fprintln(w, "user,password,name")
		for i := range n {
			fmt.Fprintf(w, "u%06d,tomato-voyage-%06d,Person %d\n", i, i, i)
		}
		w.Close()
	}()
	b.ResetTimer()
	got, err := s.Import(b.Context(), r, Import{Domain: "acme.test", Iterations: 1000})
	if err != nil || got.Done != n {
		b.Fatal(got, err)
	}
}

// BenchmarkLogin is the server's work for one login, but for TLS and XML. Rows
// of one mechanism must not differ (HARDENING A6).
func BenchmarkLogin(b *testing.B) {
	s := benchStore(b)
	s.limiter = NewLimiter(1<<40, 1<<40, nil) // counts, and never refuses
	for _, who := range []jid.JID{alice, bob} {
		if err := s.Create(b.Context(), who, good, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Disable(b.Context(), bob, true); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		who  jid.JID
	}{{"existing", alice}, {"missing", nobody}, {"disabled", bob}} {
		b.Run("SCRAM/"+c.name, func(b *testing.B) {
			for b.Loop() {
				k, err := s.Login(here).SCRAM(b.Context(), c.who, sasl.SHA256)
				if err != nil || k.Verdict(false) != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("PLAIN/"+c.name, func(b *testing.B) {
			for b.Loop() {
				if err := s.Login(here).Password(b.Context(), c.who, "wrong"); err == nil {
					b.Fatal("logged in")
				}
			}
		})
	}
}
