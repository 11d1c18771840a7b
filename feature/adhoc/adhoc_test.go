package adhoc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

var (
	host  = jid.MustParse("x.test")
	alice = jid.MustParse("alice@x.test/1")
)

// world is an engine with one command of three stages.
type world struct {
	*Commands
	now   time.Time
	may   bool
	calls []string // what Run was given
	fail  error
}

func fixed(fields ...form.Field) im.Stage {
	return im.Stage{Form: func(context.Context, *im.Call) (*form.Form, error) {
		f := form.New("form", "u:f")
		f.Fields = append(f.Fields, fields...)
		return f, nil
	}}
}

func newWorld() *world {
	w := &world{now: time.Unix(1e9, 0), may: true}
	three := im.Command{Node: "three", Name: "Three stages",
		May: func(context.Context, jid.JID, jid.JID) (bool, error) { return w.may, nil },
		Stages: []im.Stage{
			fixed(form.Field{Var: "a", Type: "text-single", Required: true}, form.Field{Var: "secret", Type: "text-private"}),
			fixed(form.Field{Var: "b", Type: "list-single", Options: []form.Option{{Value: "1"}, {Value: "2"}}}),
			fixed(form.Field{Var: "c", Type: "jid-multi"}),
		},
		Run: func(_ context.Context, c *im.Call) (*im.Outcome, error) {
			w.calls = append(w.calls, fmt.Sprint(c.Value("a"), c.Value("b"), c.Values("c")))
			return im.Done("done"), w.fail
		}}
	three.Stages[1].Check = func(_ context.Context, c *im.Call) error {
		if c.Value("a") == "mend" {
			return &im.Mend{Text: "another a, please"}
		}
		if c.Value("a") == "clash" {
			return stanza.Fail("conflict", "not with that a")
		}
		return nil
	}
	one := im.Command{Node: "one", Name: "At once", Run: func(context.Context, *im.Call) (*im.Outcome, error) { return nil, nil }}
	w.Commands = New(Config{Features: []im.Feature{{Commands: []im.Command{three}}, {Commands: []im.Command{one}}},
		Now: func() time.Time { return w.now }})
	return w
}

// step asks as alice; fields are name=value.
func (w *world) step(t *testing.T, node, id, action string, fields ...string) (*elem.Element, *stanza.Error) {
	t.Helper()
	p := elem.New(Space, "command", "node", node)
	if id != "" {
		p.Set("sessionid", id)
	}
	if action != "" {
		p.Set("action", action)
	}
	if fields != nil {
		f := form.New("submit", "u:f")
		for _, fd := range fields {
			name, v, _ := strings.Cut(fd, "=")
			f.Add("", name, "", strings.Split(v, ",")...)
		}
		p.Add(f.Element())
	}
	out, err := w.handle(t.Context(), &im.IQ{Type: stanza.Set, From: alice, To: host, Payload: p})
	var se *stanza.Error
	if err != nil && !errors.As(err, &se) {
		t.Fatal(err)
	}
	return out, se
}

// XEP-0050 §2.4.2, §3.4: forth, back with what was written, and to the end.
func TestStages_forthAndBack(t *testing.T) {
	w := newWorld()
	var id string
	for i, c := range []struct {
		action  string
		fields  []string
		actions string // allowed ones, the default first
		shows   string // the value in the form's first field
		status  string
	}{
		{"", nil, "next next", "", "executing"},
		{"", []string{"a=x", "secret=s"}, "next prev next", "", "executing"},
		{"prev", nil, "next next", "x", "executing"},
		{"next", []string{"a=y"}, "next prev next", "", "executing"},
		{"execute", []string{"b=2"}, "complete prev complete", "", "executing"},
		{"prev", []string{"c=ignored@"}, "next prev next", "2", "executing"},
		{"next", []string{"b=1"}, "complete prev complete", "", "executing"},
		{"", []string{"c=Q@x.test,r@x.test"}, "", "", "completed"},
	} {
		out, err := w.step(t, "three", id, c.action, c.fields...)
		if err != nil || out.Attr("status") != c.status || out.Attr("node") != "three" || out.Attr("xml:lang") != "en" {
			t.Fatalf("step %d: %v %v", i, out, err)
		}
		if id = out.Attr("sessionid"); len(id) != idLength {
			t.Errorf("session %q", id)
		}
		if c.status == "completed" {
			continue
		}
		acts := out.Child(Space, "actions")
		got := acts.Attr("execute")
		for _, a := range acts.Children {
			got += " " + a.Local
		}
		f := form.Read(out.Child(form.Space, "x"))
		shown := f.Fields[1].Values
		if got != c.actions || strings.Join(shown, "") != c.shows || len(f.Fields) > 2 && len(f.Fields[2].Values) > 0 {
			t.Errorf("step %d: actions %q, form %+v", i, got, f.Fields)
		}
	}
	if !slices.Equal(w.calls, []string{"y1[q@x.test r@x.test]"}) {
		t.Errorf("run with %v", w.calls)
	}
}

// What an answer must be (XEP-0004 §3.3), each time with what to do about it.
func TestStages_whatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		steps          [][]string // each ends with an answer to the stage
		condition, own string
		text           string
	}{
		"a needed field is missing":     {[][]string{{"secret=x"}}, "bad-request", "bad-payload", "a: this field is needed"},
		"a needed field is empty":       {[][]string{{"a= "}}, "bad-request", "bad-payload", "a: this field is needed"},
		"two values for one":            {[][]string{{"a=1,2"}}, "bad-request", "bad-payload", "one value only"},
		"another form":                  {[][]string{{"FORM_TYPE=u:g", "a=1"}}, "bad-request", "bad-payload", "FORM_TYPE is u:f"},
		"no such choice":                {[][]string{{"a=x"}, {"b=3"}}, "bad-request", "bad-payload", "choose one of 1, 2"},
		"what the command itself minds": {[][]string{{"a=clash"}, {"b=1"}}, "conflict", "", "not with that a"},
	} {
		w := newWorld()
		out, _ := w.step(t, "three", "", "")
		id := out.Attr("sessionid")
		for i, fields := range c.steps {
			f := fields
			if strings.HasPrefix(f[0], "FORM_TYPE") {
				p := elem.New(Space, "command", "node", "three", "sessionid", id).Add(form.New("submit", "u:g").Add("", "a", "", "1").Element())
				_, err := w.handle(t.Context(), &im.IQ{From: alice, To: host, Payload: p})
				var se *stanza.Error
				if !errors.As(err, &se) || !strings.Contains(se.Text, c.text) {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			_, err := w.step(t, "three", id, "", f...)
			if i < len(c.steps)-1 {
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				continue
			}
			if err == nil || err.Condition != c.condition || !strings.Contains(err.Text, c.text) || (err.App != nil) != (c.own != "") {
				t.Errorf("%s: %v", name, err)
			}
		}
		// It can be mended: the session is there still.
		if _, err := w.step(t, "three", id, "cancel"); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
}

// What can be mended comes back with what was written and a note (XEP-0050 §4.3),
// in a check of the form, in one of the stage, and when the command runs.
func TestStages_whatCanBeMended(t *testing.T) {
	w := newWorld()
	out, _ := w.step(t, "three", "", "")
	id := out.Attr("sessionid")
	shown := func(out *elem.Element, err *stanza.Error, text, field, value string) {
		t.Helper()
		if err != nil || out.Attr("status") != "executing" || out.Attr("sessionid") != id {
			t.Fatalf("%s: %v %v", text, out, err)
		}
		n, f := out.Child(Space, "note"), form.Read(out.Child(form.Space, "x"))
		if n == nil || n.Attr("type") != "error" || !strings.Contains(n.Text, text) || strings.Join(f.Values(field), " ") != value {
			t.Errorf("%s: %v", text, out)
		}
	}
	if _, err := w.step(t, "three", id, "", "a=mend"); err != nil {
		t.Fatal(err)
	}
	out, err := w.step(t, "three", id, "", "b=1")
	shown(out, err, "another a", "b", "1")
	for _, step := range [][]string{{"prev"}, {"", "a=x"}, {"", "b=1"}} {
		if _, err := w.step(t, "three", id, step[0], step[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	out, err = w.step(t, "three", id, "", "c=@@")
	shown(out, err, "not an address", "c", "@@")
	w.fail = &im.Mend{Text: "nobody of that name"}
	out, err = w.step(t, "three", id, "", "c=q@x.test")
	shown(out, err, "nobody of that name", "c", "q@x.test")
	w.fail = nil
	if out, err = w.step(t, "three", id, "", "c=r@x.test"); err != nil || out.Attr("status") != "completed" {
		t.Errorf("mended: %v %v", out, err)
	}
}

// Who asks their own account finds the host's commands there.
func TestCommands_atOnesOwnAccount(t *testing.T) {
	w := newWorld()
	var asked jid.JID
	w.byNode["one"].May = func(_ context.Context, at, _ jid.JID) (bool, error) { asked = at; return true, nil }
	q := &im.IQ{Type: stanza.Set, From: alice, To: alice.Bare(), Payload: elem.New(Space, "command", "node", "one")}
	if out, err := w.handle(t.Context(), q); err != nil || out.Attr("status") != "completed" || asked != host {
		t.Errorf("%v %v, asked about %s", out, err, asked)
	}
	if items, ok, err := w.NodeItems(t.Context(), q, Space); len(items) != 2 || !ok || err != nil || items[0].Attr("jid") != alice.Bare().String() {
		t.Errorf("%v %v", items, err)
	}
	w.others = func(_ context.Context, q *im.IQ) (*elem.Element, error) {
		return elem.New("u:x", q.Payload.Attr("node")), nil
	}
	q.Payload = elem.New(Space, "command", "node", "mine")
	if out, err := w.handle(t.Context(), q); err != nil || out.Local != "mine" {
		t.Errorf("a command of the account's own: %v %v", out, err)
	}
	if !w.Owns(Space) || !w.Owns("one") || w.Owns("") || w.Owns("urn:n") {
		t.Error("which nodes are commands")
	}
}

func TestSessions_lifeAndRights(t *testing.T) {
	w := newWorld()
	out, _ := w.step(t, "three", "", "")
	id := out.Attr("sessionid")
	w.may = false // HARDENING §9: authorised at each step
	if _, err := w.step(t, "three", id, "", "a=x"); err == nil || err.Condition != "forbidden" {
		t.Errorf("without the right: %v", err)
	}
	w.may = true
	p := elem.New(Space, "command", "node", "three", "sessionid", id)
	var se *stanza.Error
	if _, err := w.handle(t.Context(), &im.IQ{From: jid.MustParse("alice@x.test/2"), To: host, Payload: p}); !errors.As(err, &se) || se.App.Local != "session-expired" ||
		se.About.Attr("sessionid") != id || se.About.Attr("node") != "three" {
		t.Errorf("another resource's session: %v", err)
	}
	if _, err := w.step(t, "one", id, ""); err == nil || err.App.Local != "bad-sessionid" {
		t.Errorf("another command's session: %v", err)
	}
	w.now = w.now.Add(lifetime)
	if _, err := w.step(t, "three", id, "", "a=x"); err != nil {
		t.Errorf("just in time: %v", err)
	}
	w.now = w.now.Add(lifetime + 1)
	if _, err := w.step(t, "three", id, "", "b=1"); err == nil || err.App.Local != "session-expired" {
		t.Errorf("too late: %v", err)
	}
	for range perAccount {
		if _, err := w.step(t, "three", "", ""); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(1)
	oldest := ""
	for id, s := range w.open.byID {
		if oldest == "" || s.used.Before(w.open.byID[oldest].used) {
			oldest = id
		}
	}
	if _, err := w.step(t, "three", "", ""); err != nil || len(w.open.byID) != perAccount {
		t.Errorf("one too many: %v, %d are kept", err, len(w.open.byID))
	}
	w.now = w.now.Add(lifetime + 1)
	if _, err := w.step(t, "three", "", ""); err != nil {
		t.Errorf("when the others have expired: %v", err)
	}
	if len(w.open.byID) != 1 || len(w.open.count) != 1 {
		t.Errorf("%d sessions of %d accounts are kept", len(w.open.byID), len(w.open.count))
	}
	if out, err := w.step(t, "one", "", ""); err != nil || out.Attr("status") != "completed" || len(w.open.byID) != 1 {
		t.Errorf("at once: %v %v", out, err)
	}
	if _, err := w.step(t, "two", "", ""); err == nil || err.Condition != "item-not-found" {
		t.Errorf("no such command: %v", err)
	}
}

// XEP-0050 §2.2: the list and the nodes, for who may and who may not.
func TestNodes_list(t *testing.T) {
	w := newWorld()
	q := &im.IQ{From: alice, To: host}
	for _, may := range []bool{true, false} {
		w.may = may
		items, ok, err := w.NodeItems(t.Context(), q, Space)
		if want := map[bool]int{true: 2, false: 1}[may]; len(items) != want || !ok || err != nil {
			t.Errorf("%v: %v %v %v", may, items, ok, err)
		}
		_, ok, err = w.NodeInfo(t.Context(), q, "three")
		if ok != may || (err == nil) != may {
			t.Errorf("%v: %v %v", may, ok, err)
		}
	}
	if info, ok, err := w.NodeInfo(t.Context(), q, "one"); !ok || err != nil || info.Identities[0].Type != "command-node" || !slices.Contains(info.Features, form.Space) {
		t.Errorf("%+v %v %v", info, ok, err)
	}
	if info, ok, _ := w.NodeInfo(t.Context(), q, Space); !ok || info.Identities[0].Type != "command-list" {
		t.Errorf("%+v", info)
	}
	if _, ok, err := w.NodeItems(t.Context(), q, "elsewhere"); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
}
