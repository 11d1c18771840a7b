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

// BenchmarkSCRAM is the server's work for one login, but for TLS and XML.
func BenchmarkSCRAM(b *testing.B) {
	s := benchStore(b)
	who := jid.MustParse("alice@acme.test")
	if err := s.Create(b.Context(), who, good, Options{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Login(here).SCRAM(b.Context(), who, sasl.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}
