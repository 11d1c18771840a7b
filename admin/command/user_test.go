package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const good = "tomato-voyage-19"

// world is a store and the commands on it.
type world struct {
	t        *testing.T
	accounts *account.Store
	place    Place
	closed   int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := storetest.SQLite(t)
	if err := db.Migrate(t.Context(), []store.Migrations{account.Migrations()}); err != nil {
		t.Fatal(err)
	}
	a, err := account.New(t.Context(), db, account.Config{Iterations: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, accounts: a}
}

func (w *world) open(_ context.Context, p Place) (Opened, error) {
	w.place = p
	return Opened{Accounts: w.accounts, Devices: w.accounts.Devices, Domain: "acme.test", Close: func() error { w.closed++; return nil }}, nil
}

// run is one command line; in is its standard input.
func (w *world) run(in io.Reader, args ...string) (out, errs string, err error) {
	w.t.Helper()
	c := User(w.open)
	c.SilenceErrors, c.SilenceUsage = true, true
	var o, e bytes.Buffer
	c.SetIn(in)
	c.SetOut(&o)
	c.SetErr(&e)
	c.SetArgs(args)
	before := w.closed
	err = c.ExecuteContext(w.t.Context())
	if w.closed-before > 1 {
		w.t.Errorf("%v: closed %d times", args, w.closed-before)
	}
	return o.String(), e.String(), err
}

// step runs a command that must end well.
func (w *world) step(in string, args ...string) string {
	w.t.Helper()
	out, errs, err := w.run(strings.NewReader(in), args...)
	if err != nil {
		w.t.Fatalf("%v: %v\n%s", args, err, errs)
	}
	return out
}

func (w *world) fails(want, in string, args ...string) {
	w.t.Helper()
	_, _, err := w.run(strings.NewReader(in), args...)
	if err == nil || !strings.Contains(err.Error(), want) {
		w.t.Errorf("%v: %v, want %q", args, err, want)
	}
	if err != nil && strings.Contains(err.Error(), good) {
		w.t.Errorf("%v: the error quotes the password", args)
	}
}

func TestUser_life(t *testing.T) {
	w := newWorld(t)
	if got := w.step(good+"\n", "add", "Alice", "--name", "Alice Liddell", "--admin", "--password-stdin"); got != "added alice@acme.test\n" {
		t.Errorf("add: %q", got)
	}
	w.step(good+"\r\n", "add", "bob@acme.test", "--password-stdin", "--data", "/d", "--config", "/c")
	if w.place != (Place{Config: "/c", Data: "/d"}) {
		t.Errorf("place %+v", w.place)
	}
	if got := w.step(good+"-2", "passwd", "bob", "--password-stdin"); got != "password of bob@acme.test set\n" {
		t.Errorf("passwd: %q", got)
	}
	w.step("", "disable", "bob")
	w.step("", "set", "alice", "--name", "A. L.")
	got := w.step("", "list")
	day := today(t, w)
	want := fmt.Sprintf("%-32s\tadmin   \t%s\tA. L.\n%-32s\tdisabled\t%s\t\n", "alice@acme.test", day, "bob@acme.test", day)
	if got != want {
		t.Errorf("list:\n%s\nwant\n%s", got, want)
	}
	w.step("", "enable", "bob")
	w.step("", "set", "alice", "--admin=false")
	if got := w.step("", "remove", "bob"); got != "removed bob@acme.test\n" {
		t.Errorf("remove: %q", got)
	}
	if got := w.step("", "list"); strings.Contains(got, "bob") || strings.Contains(got, "admin") {
		t.Errorf("list at the end: %s", got)
	}
}

func today(t *testing.T, w *world) string {
	t.Helper()
	a, err := w.accounts.Get(t.Context(), jid.MustParse("alice@acme.test"))
	if err != nil {
		t.Fatal(err)
	}
	return a.Created.Format("2006-01-02")
}

func TestUser_mistakes(t *testing.T) {
	w := newWorld(t)
	w.step(good, "add", "alice", "--password-stdin")
	w.fails("alice@acme.test exists already", good, "add", "ALICE", "--password-stdin")
	w.fails("shorter than 12", "short", "add", "bob", "--password-stdin")
	w.fails("no password on standard input", "\n", "add", "bob", "--password-stdin")
	w.fails("use --password-stdin", good, "add", "bob")
	w.fails("use --password-stdin", good, "passwd", "alice")
	w.fails("there is no account bob@acme.test", good, "passwd", "bob", "--password-stdin")
	w.fails("there is no account bob@acme.test", "", "remove", "bob")
	w.fails("there is no account bob@acme.test", "", "disable", "bob")
	w.fails("nothing to change", "", "set", "alice")
	w.fails("can't be the name of an account", good, "add", "a b", "--password-stdin")
	w.fails("can't be the name of an account", good, "add", "alice@acme.test/phone", "--password-stdin")
	w.fails("can't be the name of an account", good, "add", "", "--password-stdin")
	// Other users of the machine see the arguments of a process.
	w.fails("unknown flag", "", "add", "bob", "--password", good)
	w.fails("accepts 1 arg", "", "add", "bob", "carol")
	if n, err := w.accounts.Count(t.Context()); n != 1 || err != nil {
		t.Errorf("%d accounts after nothing but mistakes, %v", n, err)
	}
}

func TestUser_openerFails(t *testing.T) {
	refuse := errors.New("in use by process 7")
	c := User(func(context.Context, Place) (Opened, error) { return Opened{}, refuse })
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs([]string{"list"})
	if err := c.ExecuteContext(t.Context()); !errors.Is(err, refuse) {
		t.Errorf("got %v", err)
	}
}

func TestImport_fromFileAndFromStdin(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "people.csv")
	text := "user,password,name\nalice," + good + ",Alice\nbob,short,\ncarol," + good + ",\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, err := w.run(strings.NewReader(""), "import", file, "--scram-iterations", "1000")
	// A line was left out: the exit status says so.
	if err == nil || err.Error() != "left out: 1 line" {
		t.Errorf("error %v", err)
	}
	if !strings.HasPrefix(out, "2 accounts added in ") || !strings.Contains(out, "1 line left out") {
		t.Errorf("out: %q", out)
	}
	// Not a terminal: plain lines, no control characters.
	if !strings.Contains(errs, "line 3: the password is shorter") || !strings.Contains(errs, "100 %, 2 accounts") || strings.ContainsAny(errs, "\r\x1b") {
		t.Errorf("errors: %q", errs)
	}
	if got := w.step("user,password\ndave,"+good+"\n", "import", "-"); !strings.HasPrefix(got, "1 account added") {
		t.Errorf("from stdin: %q", got)
	}
	w.fails("no such file", "", "import", file+"x")
	w.fails("from 1000 to 1000000", "", "import", file, "--scram-iterations", "10")
	w.fails(`"passwort"`, "user,passwort\n", "import", "-")
}
