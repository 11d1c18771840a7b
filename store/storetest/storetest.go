package storetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/parlance-im/parlance/store"
)

// SQLiteOnly is the environment variable that leaves PostgreSQL out when it is 1.
const SQLiteOnly = "PARLANCE_TEST_SQLITE_ONLY"

// Run runs fn as a subtest with an empty data set on each engine. The DB is closed at the subtest's end.
func Run(t *testing.T, fn func(t *testing.T, db *store.DB)) {
	t.Helper()
	RunDSN(t, func(t *testing.T, dsn string) { fn(t, Open(t, dsn)) })
}

// RunDSN is Run for tests that open the data set themselves, as those do that open it twice.
func RunDSN(t *testing.T, fn func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run(store.SQLite.String(), func(t *testing.T) { fn(t, "sqlite:"+filepath.Join(t.TempDir(), "parlance.db")) })
	if os.Getenv(SQLiteOnly) == "1" {
		t.Logf("PostgreSQL left out: %s=1", SQLiteOnly)
		return
	}
	t.Run(store.PostgreSQL.String(), func(t *testing.T) { fn(t, PostgreSQL(t)) })
}

// SQLite returns an empty SQLite data set, for benchmarks and for tests that need any one engine.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, "sqlite:"+filepath.Join(t.TempDir(), "parlance.db"))
}

// Aside is for Open: beside the server that writes.
func Aside(o *store.Options) { o.Aside = true }

// Open opens dsn and closes it at the test's end.
func Open(t testing.TB, dsn string, with ...func(*store.Options)) *store.DB {
	t.Helper()
	o := store.Options{DSN: dsn}
	for _, f := range with {
		f(&o)
	}
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil && db.Err() == nil {
			t.Error(err)
		}
	})
	return db
}

// Main is for a TestMain: it runs the tests, stops PostgreSQL, and exits.
func Main(m *testing.M) {
	code := m.Run()
	if err := stop(); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		code = max(code, 1)
	}
	os.Exit(code)
}
