package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/host"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// twoHosts is a core that serves a.test and b.test. On each there are "admin", who
// administers it, and "user"; root@a.test is an operator.
func twoHosts(t testing.TB) *core {
	t.Helper()
	cfg := Default()
	cfg.Domain, cfg.Data, cfg.Operators = "a.test", t.TempDir(), []string{"root@a.test"}
	cfg.Login.Registration = "invited"
	c, err := openCore(context.Background(), cfg, Options{Log: slog.New(slog.DiscardHandler), Out: io.Discard}, accountConfig(cfg))
	if err != nil {
		t.Fatal(err)
	}
	stop := c.run(context.Background())
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	if err := (operating{c.hosts}).Add(t.Context(), jid.MustParse("b.test"), host.Settings{"login.invite": "everybody"}); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"admin@a.test", "user@a.test", "root@a.test", "admin@b.test", "user@b.test"} {
		err := c.accounts.Create(t.Context(), jid.MustParse(who), "correct horse of "+who, account.Options{Admin: strings.HasPrefix(who, "admin")})
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *core) commands() (out []im.Command) {
	for _, f := range c.features {
		out = append(out, f.Commands...)
	}
	return out
}

// HARDENING I10: every command there is, from the table, for every role on every
// host. Who may is exactly: a host's administrators there; operators everywhere;
// what concerns the whole server on the first host alone; invitations everybody of a host that says so.
func TestHosts_commandsByRole(t *testing.T) {
	c := twoHosts(t)
	whole := map[string]bool{}
	for _, n := range []string{"edit-blacklist", "edit-whitelist", "add-to-whitelist", "restart", "shutdown"} {
		whole["http://jabber.org/protocol/admin#"+n] = true
	}
	cells, cross := 0, 0
	for _, cmd := range c.commands() {
		for _, at := range []string{"a.test", "b.test"} {
			for _, who := range []string{"admin@a.test", "user@a.test", "root@a.test", "admin@b.test", "user@b.test", "nobody@b.test", "admin@c.test", "a.test", "b.test"} {
				asker := jid.MustParse(who)
				if asker.Local() != "" {
					asker, _ = asker.WithResource("r")
				}
				own := asker.Domain() == at
				want := own && asker.Local() == "admin" || asker.Local() == "root"
				switch {
				case whole[cmd.Node]:
					want = want && at == "a.test"
				case cmd.Node == "urn:xmpp:invite#invite" && at == "b.test":
					want = own && (asker.Local() == "admin" || asker.Local() == "user")
				case strings.HasPrefix(cmd.Node, "urn:xmpp:invite#"):
					want = want && own // an invitation is to one's own host
				}
				got, err := cmd.May(t.Context(), jid.MustParse(at), asker)
				if err != nil || got != want {
					t.Errorf("%s at %s by %s: %v %v, want %v", cmd.Node, at, who, got, err, want)
				}
				cells++
				if !own {
					cross++
				}
			}
		}
	}
	if cells < 600 {
		t.Errorf("%d cells: the table is not whole", cells)
	}
	t.Logf("%d cells, %d of them across hosts", cells, cross)
}

// HARDENING I10: an administrator of b.test names accounts of a.test in every field
// of every form that takes accounts. Nothing is done.
func TestHosts_commandsNameNobodyOfAnotherHost(t *testing.T) {
	c := twoHosts(t)
	victim := jid.MustParse("user@a.test")
	before := c.fingerprint(t, victim)
	if _, err := c.notices.Set(t.Context(), jid.MustParse("b.test"), "motd", "so that it can be edited", true, time.Now()); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, cmd := range c.commands() {
		call := &im.Call{ID: "x", Host: jid.MustParse("b.test"), Who: jid.MustParse("admin@b.test/r")}
		names := false
		for _, st := range cmd.Stages {
			f, err := st.Form(t.Context(), call)
			if err != nil {
				t.Fatalf("%s: %v", cmd.Node, err)
			}
			in := form.New("submit", f.Kind())
			for _, fd := range f.Fields {
				value := "correct horse battery"
				if strings.HasPrefix(fd.Type, "jid-") {
					value, names = victim.String(), true
				}
				in.Add(fd.Type, fd.Var, "", value)
			}
			call.Forms = append(call.Forms, in)
		}
		if may, err := cmd.May(t.Context(), call.Host, call.Who); err != nil || !may || !names {
			continue
		}
		tried++
		_, err := cmd.Run(t.Context(), call)
		if _, ok := errors.AsType[*stanza.Error](err); !ok {
			t.Errorf("%s on %s by %s: %v", cmd.Node, victim, call.Who, err)
		}
	}
	if tried < 10 {
		t.Errorf("only %d commands take accounts", tried)
	}
	if after := c.fingerprint(t, victim); after != before {
		t.Errorf("something was done: %s, was %s", after, before)
	}
}

func (c *core) fingerprint(t *testing.T, who jid.JID) string {
	t.Helper()
	a, err := c.accounts.Get(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := account.Keys(t.Context(), c.accounts, who)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(a, keys)
}

func TestHosts_settings(t *testing.T) {
	c := twoHosts(t)
	op, b := operating{c.hosts}, jid.MustParse("b.test")
	for _, r := range []struct{ set, want string }{
		{"registration=open", `unknown key "registration"; the nearest known key is "login.registration"`},
		{"login.registratoin=open", `the nearest known key is "login.registration"`},
		{"listen.c2s=:1", "listen.c2s holds for the whole server"},
		{"login.registration=yes", "none of closed, invited, open"},
		{"login.min_password=4", "from 8 to 128"},
		{"login.guests=many", `"many" is not a whole number`},
		{"rooms.create=yes", `"yes" is neither true nor false`},
		{"files.max_size=big", "is not a size"},
		{"login.mechanisms=GSSAPI", "login.mechanisms"},
		{"rooms.domain=a.test", "a.test belongs to a.test"},
		{"rooms.domain=conference.a.test", "conference.a.test belongs to a.test"},
		{"contact.abuse=somebody", "is no link"},
		{"tls.cert=/nowhere", "tls"},
		{"tls.cert=cert.pem", "not an absolute path"},
	} {
		k, v, _ := strings.Cut(r.set, "=")
		err := op.Set(t.Context(), b, host.Change{Set: host.Settings{k: v}})
		if no, ok := errors.AsType[*host.Refused](err); !ok || !strings.Contains(no.Why, r.want) {
			t.Errorf("%s: %v, want … %s …", r.set, err, r.want)
		}
	}
	err := op.Set(t.Context(), b, host.Change{Set: host.Settings{"login.min_password": "20", "files.max_size": "1MiB", "login.guests": "1", "rooms.name": "Halls",
		"login.mechanisms": "SCRAM-SHA-256, OAUTHBEARER", "rooms.domain": "halls.b.test"}})
	if err != nil {
		t.Fatal(err)
	}
	if g, err := c.guests.Enter("b.test"); err != nil || !c.guests.Is(g) {
		t.Error(g, err)
	}
	if _, err := c.guests.Enter("a.test"); err == nil {
		t.Error("guests on a host that has none")
	}
	for who, short := range map[string]bool{"user@a.test": false, "user@b.test": true} {
		err := c.accounts.SetPassword(t.Context(), jid.MustParse(who), "fifteen letters")
		if _, refused := errors.AsType[*account.Refused](err); refused != short {
			t.Errorf("%s: %v", who, err)
		}
	}
	if c.rooms.Serves(jid.MustParse("x@conference.b.test")) || !c.rooms.Serves(jid.MustParse("x@halls.b.test")) || !c.rooms.Serves(jid.MustParse("x@conference.a.test")) {
		t.Error("the rooms did not move")
	}
	if c.hosts.config("b.test").Files.MaxSize != MiB || c.hosts.config("a.test").Files.MaxSize != 100*MiB {
		t.Error("the size of files")
	}
	for who, want := range map[string]bool{"user@b.test": true, "user@a.test": false, "root@a.test": true, "admin@a.test": false} {
		if may, err := c.hosts.makesRooms("b.test")(t.Context(), jid.MustParse(who)); may != want || err != nil {
			t.Errorf("%s makes rooms on b.test: %v %v", who, may, err)
		}
	}
	if err := op.Set(t.Context(), b, host.Change{Set: host.Settings{"rooms.create": "false"}}); err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string]bool{"user@b.test": false, "admin@b.test": true} {
		if may, err := c.hosts.makesRooms("b.test")(t.Context(), jid.MustParse(who)); may != want || err != nil {
			t.Errorf("%s makes rooms on b.test, where administrators do: %v %v", who, may, err)
		}
	}
	st, err := op.Show(t.Context(), b)
	if err != nil || st.Rooms != "halls.b.test" || st.Accounts != 2 || st.Until.IsZero() {
		t.Errorf("%+v %v", st, err)
	}
	if err := op.Set(t.Context(), b, host.Change{Unset: []string{"login.min_password"}}); err != nil {
		t.Error(err)
	}
	if c.hosts.config("b.test").Login.MinPassword != c.cfg.Login.MinPassword {
		t.Error("what is not set is as in the file")
	}
}

func TestHosts_refusals(t *testing.T) {
	c := twoHosts(t)
	op, ctx := operating{c.hosts}, t.Context()
	for _, name := range []string{"a.test", "b.test"} {
		if err := op.Add(ctx, jid.MustParse(name), nil); !errors.Is(err, host.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"conference.a.test", "conference.b.test", "x@c.test", "[::1]"} {
		j, err := jid.Parse(name)
		if err != nil {
			continue
		}
		if _, ok := errors.AsType[*host.Refused](op.Add(ctx, j, nil)); !ok || c.local(name) {
			t.Errorf("%s was added", name)
		}
	}
	home := jid.MustParse("a.test")
	for what, err := range map[string]error{"remove": op.Remove(ctx, home, host.Removal{}), "disable": op.Disable(ctx, home, true, "")} {
		if _, ok := errors.AsType[*host.Refused](err); !ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := op.Remove(ctx, jid.MustParse("c.test"), host.Removal{}); !errors.Is(err, host.ErrNotFound) {
		t.Error(err)
	}
}

// Whose a domain is, is asked for every stanza.
func TestHosts_lookingOneUpAllocatesNothing(t *testing.T) {
	c := twoHosts(t)
	room := jid.MustParse("x@conference.b.test")
	if n := testing.AllocsPerRun(1000, func() {
		if !c.local("b.test") || c.local("c.test") || !c.rooms.Serves(room) || c.guests.Is(room) || c.hosts.edge("b.test") == nil {
			t.Fatal("wrong")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHosts_local(b *testing.B) {
	c := twoHosts(b)
	b.ReportAllocs()
	for b.Loop() {
		if !c.local("b.test") {
			b.Fatal("not local")
		}
	}
}
