package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

var (
	host  = jid.MustParse("x.test")
	alice = jid.MustParse("alice@x.test/1")
)

// company is a host's accounts as a Config reads them.
type company []Account

func (c company) config() Config {
	slices.SortFunc(c, func(a, b Account) int { return cmp.Compare(a.JID.String(), b.JID.String()) })
	return Config{
		On: func(domain string) bool { return domain == host.Domain() },
		Some: func(_ context.Context, domain, after string, n int) (out []Account, err error) {
			for _, a := range c {
				if a.JID.Domain() == domain && a.JID.String() > after && len(out) < n {
					out = append(out, a)
				}
			}
			return out, nil
		},
	}
}

func ask(t *testing.T, c Config, q im.IQ, payload string) (*elem.Element, error) {
	t.Helper()
	var err error
	if q.Payload, err = elem.Parse([]byte(payload)); err != nil {
		t.Fatal(err)
	}
	for _, r := range Feature(c).IQ {
		if r.Type == q.Type && r.Scope == im.ToHost && r.Space == q.Payload.Space && r.Local == q.Payload.Local {
			return r.Handle(t.Context(), &q)
		}
	}
	t.Fatal("nobody answers")
	return nil, nil
}

func own(typ stanza.Type) im.IQ {
	return im.IQ{Type: typ, From: alice, To: host, Session: &session.Session{}}
}

func found(out *elem.Element) string {
	var who []string
	for _, i := range out.Children {
		if i.Local == "item" {
			who = append(who, i.Attr("jid"))
		}
	}
	return strings.Join(who, " ")
}

func sample() company {
	card := func(inner string) []byte { return []byte(`<vCard xmlns='vcard-temp'>` + inner + `</vCard>`) }
	at := jid.MustParse
	return company{
		{JID: at("bob@x.test"), Name: "Bob Baker"},
		{JID: at("carol@x.test"), Name: "Carol", Card: card(`<FN>Caroline &amp; Co</FN><N><GIVEN>Caroline</GIVEN><FAMILY>Öztürk</FAMILY></N><NICKNAME>caz</NICKNAME><EMAIL><WORK/><USERID>c.oz@mail.test</USERID></EMAIL>`)},
		{JID: at("dora@x.test"), Name: "Dora Baker", Off: true},
		{JID: at("erin@x.test"), Name: "Erin", Card: card(`<FN>王 小明</FN><N><GIVEN>小明</GIVEN><FAMILY>王</FAMILY></N>`)},
		{JID: at("frank@other.test"), Name: "Frank Baker"},
	}
}

func TestPeople_whoIsFound(t *testing.T) {
	for search, want := range map[string]string{
		`<last>baker</last>`:                    "bob@x.test",
		`<first>BO</first><last>*bak*</last>`:   "bob@x.test",
		`<first>baker</first>`:                  "",
		`<nick>bob</nick>`:                      "bob@x.test",
		`<nick>caz</nick>`:                      "carol@x.test",
		`<last>öztürk</last>`:                   "carol@x.test", // in another case
		`<email>C.OZ@</email>`:                  "carol@x.test",
		`<email>x.test</email>`:                 "", // an address is no e-mail
		`<last>王</last>`:                        "erin@x.test",
		`<nick>frank</nick>`:                    "", // of another host
		`<first>Dora</first>`:                   "", // locked out
		`<first>Bob</first><email>nope</email>`: "",
		// Nothing that names nobody: A6 and XEP-0055 §2.1, an empty query.
		``: "", `<nick>o</nick>`: "", `<nick>*</nick>`: "", `<nick>  </nick>`: "",
	} {
		out, err := ask(t, sample().config(), own(stanza.Set), `<query xmlns='jabber:iq:search'>`+search+`</query>`)
		if err != nil || found(out) != want || want == "" && len(out.Children) != 0 {
			t.Errorf("%s: %v %v, want %q", search, out, err, want)
		}
	}
}

func TestPeople_form(t *testing.T) {
	c := sample().config()
	out, err := ask(t, c, own(stanza.Get), `<query xmlns='jabber:iq:search'/>`)
	if err != nil || out.Child(Space, "email") == nil || out.Child("jabber:x:data", "x").Attr("type") != "form" {
		t.Fatalf("%v %v", out, err)
	}
	submit := func(typ, kind, words string) (*elem.Element, error) {
		return ask(t, c, own(stanza.Set), `<query xmlns='jabber:iq:search'><x xmlns='jabber:x:data' type='`+typ+`'><field var='FORM_TYPE'><value>`+
			kind+`</value></field><field var='x-search'><value>`+words+`</value></field></x></query>`)
	}
	for words, want := range map[string]string{
		"caroline öz": "carol@x.test", "carol@x": "carol@x.test", "&amp; co": "carol@x.test", "mail.test": "carol@x.test", "baker": "bob@x.test", "": "",
	} {
		out, err := submit("submit", Space, words)
		if err != nil {
			t.Fatal(err)
		}
		// Without anybody there is a table all the same: clients show it empty.
		x := out.Child("jabber:x:data", "x")
		var who string
		for _, row := range x.Children {
			if row.Local == "item" {
				who += row.Children[0].ChildText("value")
			}
		}
		if who != want || x.Child("jabber:x:data", "reported") == nil || len(out.Children) != 1 {
			t.Errorf("%s: %v, want %q", words, out, want)
		}
	}
	for _, bad := range [][2]string{{"submit", "u:other"}, {"form", Space}} {
		if _, err := submit(bad[0], bad[1], "baker"); !is(err, "bad-request") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func is(err error, condition string) bool {
	var e *stanza.Error
	return errors.As(err, &e) && e.Condition == condition
}

// An answer is a page, and the next one is asked for (XEP-0059 §2.2).
func TestPeople_pages(t *testing.T) {
	var c company
	for i := range 1203 {
		c = append(c, Account{JID: jid.MustParse(fmt.Sprintf("u%04d@x.test", i)), Name: "Many"})
	}
	conf, after, seen := c.config(), "", map[string]bool{}
	for len(seen) < len(c) {
		out, err := ask(t, conf, own(stanza.Set), `<query xmlns='jabber:iq:search'><first>many</first><set xmlns='http://jabber.org/protocol/rsm'><max>1000</max><after>`+after+`</after></set></query>`)
		if err != nil {
			t.Fatal(err)
		}
		list := strings.Fields(found(out))
		if len(list) == 0 || len(list) > page {
			t.Fatalf("%d behind %q", len(list), after)
		}
		for _, who := range list {
			if seen[who] {
				t.Fatalf("%s twice", who)
			}
			seen[who] = true
		}
		if after = out.Child("http://jabber.org/protocol/rsm", "set").ChildText("last"); after != list[len(list)-1] {
			t.Fatalf("last is %q", after)
		}
	}
	out, err := ask(t, conf, own(stanza.Set), `<query xmlns='jabber:iq:search'><first>many</first></query>`)
	if err != nil || len(out.Children) != page {
		t.Errorf("without a page: %v", err)
	}
	_, err = ask(t, conf, own(stanza.Set), `<query xmlns='jabber:iq:search'><first>many</first><set xmlns='http://jabber.org/protocol/rsm'><before/></set></query>`)
	if !is(err, "feature-not-implemented") {
		t.Errorf("backwards: %v", err)
	}
}

// Only accounts of the host ask, and only where it is on.
func TestPeople_whoMayAsk(t *testing.T) {
	c := sample().config()
	stranger, remote, off := own(stanza.Set), own(stanza.Set), own(stanza.Set)
	stranger.From = jid.MustParse("frank@other.test/1")
	remote.Session = nil
	off.From, off.To = jid.MustParse("frank@other.test/1"), jid.MustParse("other.test")
	for name, q := range map[string]struct {
		im.IQ
		want string
	}{"another host's": {stranger, "forbidden"}, "no session here": {remote, "forbidden"}, "off": {off, "service-unavailable"}} {
		for _, typ := range []stanza.Type{stanza.Get, stanza.Set} {
			q.Type = typ
			if _, err := ask(t, c, q.IQ, `<query xmlns='jabber:iq:search'><nick>bob</nick></query>`); !is(err, q.want) {
				t.Errorf("%s %s: %v", name, typ, err)
			}
		}
	}
	c.Some = func(context.Context, string, string, int) ([]Account, error) { return nil, errors.New("broken") }
	if _, err := ask(t, c, own(stanza.Set), `<query xmlns='jabber:iq:search'><nick>bob</nick></query>`); err == nil || is(err, "") {
		t.Errorf("the store fails: %v", err)
	}
}
