package archive

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// reader is a client that asks for its archive.
type reader struct {
	t     testing.TB
	a     *Archive
	table *route.Table
	s     *session.Session
	lim   session.Limits
}

type ledgerless struct{}

func (ledgerless) Taken(jid.JID, session.Pos)    {}
func (ledgerless) Track(jid.JID, *session.Frame) {}
func newReader(t testing.TB, a *Archive, who jid.JID, lim session.Limits) *reader {
	t.Helper()
	r := &reader{t: t, a: a, lim: lim}
	r.table = route.NewTable(route.Config{Session: lim, Ledger: ledgerless{}, Now: time.Now})
	r.table.StartAt(a.Last())
	var err error
	if r.s, _, err = r.table.Bind(who, nobody{}); err != nil {
		t.Fatal(err)
	}
	return r
}

// ask gives the handler that claims the payload a request, and returns its
// answer and the messages that were sent before it.
func (r *reader) ask(typ stanza.Type, payload string) (*elem.Element, []*elem.Element, error) {
	r.t.Helper()
	p, err := elem.Parse([]byte(payload))
	if err != nil {
		r.t.Fatal(err)
	}
	var out *elem.Element
	err = errors.New("no handler")
	for _, rt := range Feature(r.a, r.table).IQ {
		if rt.Type == typ && rt.Local == p.Local && rt.Space == p.Space {
			out, err = rt.Handle(r.t.Context(), &im.IQ{Type: typ, ID: "1", From: r.s.JID(), To: r.s.JID().Bare(), Payload: p, Session: r.s})
		}
	}
	return out, r.taken(), err
}

// taken is what the session has got since; it is confirmed.
func (r *reader) taken() (out []*elem.Element) {
	r.t.Helper()
	for _, f := range r.s.Take(nobody{}, make([]*session.Frame, 0, 1000)) {
		framed := string(f.Bytes[:f.NameEnd]) + ` xmlns="jabber:client"` + string(f.Bytes[f.NameEnd:])
		e, err := elem.Parse([]byte(framed))
		if err != nil {
			r.t.Fatalf("%v: %s", err, framed)
		}
		out = append(out, e)
	}
	r.s.Wrote(nobody{})
	return out
}

func bodies(ms []*elem.Element) string {
	var out []string
	for _, m := range ms {
		in := m.Child(Space, "result").Child("urn:xmpp:forward:0", "forwarded").Child(stanza.Space, "message")
		out = append(out, in.ChildText("body"))
	}
	return fmt.Sprint(out)
}

func query(inner string) string { return `<query xmlns="urn:xmpp:mam:2">` + inner + `</query>` }

// filled is a form with fields name=value.
func filled(fields ...string) string {
	f := `<x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>urn:xmpp:mam:2</value></field>`
	for _, kv := range fields {
		name, v, _ := strings.Cut(kv, "=")
		f += `<field var="` + name + `">`
		for _, one := range strings.Split(v, ",") {
			f += "<value>" + one + "</value>"
		}
		f += "</field>"
	}
	return f + "</x>"
}

func set(inner string) string {
	return `<set xmlns="http://jabber.org/protocol/rsm">` + inner + `</set>`
}

// ten gives alice ten messages, a minute apart: even ones to bob, odd ones to carol.
func ten(t *testing.T, db *store.DB) *Archive {
	t.Helper()
	a, c := open(t, db)
	for i := range 10 {
		to := bob
		if i%2 == 1 {
			to = carol
		}
		add(t, a, entry(alice, to, fmt.Sprint(i)))
		c.t = c.t.Add(time.Minute)
	}
	return a
}

// XEP-0313 §4.1 to §4.3: what is asked for comes as messages, then the result says how far it reached.
func TestMAM_queries(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newReader(t, ten(t, db), alice, session.DefaultLimits)
		cases := []struct {
			name, payload, want, fin string
		}{
			{"everything", query(""), "[0 1 2 3 4 5 6 7 8 9]", "complete 1-10"},
			{"a page", query(set("<max>3</max>")), "[0 1 2]", "1-3"},
			{"the next", query(set("<max>3</max><after>3</after>")), "[3 4 5]", "4-6"},
			{"the last (XEP-0059 §2.5)", query(set("<max>3</max><before/>")), "[7 8 9]", "8-10"},
			{"the one before", query(set("<max>3</max><before>8</before>")), "[4 5 6]", "5-7"},
			{"newest first within the page (mam:2#extended §4.1.5)", query(set("<max>3</max><before/>") + "<flip-page/>"), "[9 8 7]", "8-10"},
			{"with one", query(filled("with=bob@x.test")), "[0 2 4 6 8]", "complete 1-9"},
			{"with one, in his spelling", query(filled("with=BOB@X.test")), "[0 2 4 6 8]", "complete 1-9"},
			{"between times, another zone", query(filled("start=2026-11-23T09:02:00+01:00", "end=2026-11-23T08:03:30.5Z")), "[2 3]", "complete 3-4"},
			{"between ids", query(filled("after-id=2", "before-id=5")), "[2 3]", "complete 3-4"},
			{"form and page both bound: the tighter holds", query(filled("after-id=5") + set("<after>2</after>")), "[5 6 7 8 9]", "complete 6-10"},
			{"form and page both bound, backwards", query(filled("before-id=4") + set("<before>8</before>")), "[0 1 2]", "complete 1-3"},
			{"some ids", query(filled("ids=9,2,9")), "[1 8]", "complete 2-9"},
			{"some ids, paged", query(filled("ids=9,2,4") + set("<max>2</max>")), "[1 3]", "2-4"},
			{"some ids, the rest", query(filled("ids=9,2,4") + set("<max>2</max><after>4</after>")), "[8]", "complete 9-9"},
			{"nothing", query(filled("with=nobody@x.test")), "[]", "complete "},
			{"an empty field is none", query(`<x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>urn:xmpp:mam:2</value></field><field var="with"/></x>` +
				set("<max>1</max>")), "[0]", "1-1"},
			{"how many", query(set("<max>0</max>")), "[]", "count 10"},
			{"how many with one", query(filled("with=bob@x.test") + set("<max>0</max>")), "[]", "count 5"},
			{"how many since", query(filled("start=2026-11-23T08:07:00Z") + set("<max>0</max>")), "[]", "count 3"},
			{"how many after", query(set("<max>0</max><after>4</after>")), "[]", "count 6"},
			{"how many with a stranger", query(filled("with=nobody@x.test") + set("<max>0</max>")), "[]", "count 0"},
			{"how many of these", query(filled("ids=9,2") + set("<max>0</max>")), "[]", "count 2"},
		}
		for _, c := range cases {
			fin, ms, err := r.ask(stanza.Set, c.payload)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if got := bodies(ms); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
			if got := finText(fin); got != c.fin {
				t.Errorf("%s: %q, want %q", c.name, got, c.fin)
			}
		}
	})
}

func finText(fin *elem.Element) (out string) {
	if fin.Attr("complete") == "true" {
		out = "complete "
	}
	s := fin.Child("http://jabber.org/protocol/rsm", "set")
	if n := s.ChildText("count"); n != "" {
		return out + "count " + n
	}
	if first := s.ChildText("first"); first != "" {
		out += first + "-" + s.ChildText("last")
	}
	return out
}

// XEP-0313 §4.3.1, XEP-0059 §2, HARDENING I9: what can't be answered is an error, and nothing is sent.
func TestMAM_errors(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newReader(t, ten(t, db), alice, session.DefaultLimits)
		many := strings.Repeat("1,", maxPage) + "1"
		for payload, want := range map[string]string{
			query(set("<after>99</after>")):                                         "item-not-found",
			query(set("<before>99</before>")):                                       "item-not-found",
			query(set("<after>-1</after>")):                                         "item-not-found",
			query(set("<after>0</after>")):                                          "item-not-found",
			query(set("<after>18446744073709551616</after>")):                       "item-not-found",
			query(set("<before>9223372036854775808</before>")):                      "item-not-found",
			query(set("<after>1' OR '1'='1</after>")):                               "item-not-found",
			query(set("<max>0</max><after>99</after>")):                             "item-not-found",
			query(set("<max>-1</max>")):                                             "bad-request",
			query(set("<max>x</max>")):                                              "bad-request",
			query(set("<index>3</index>")):                                          "feature-not-implemented",
			query(filled("after-id=99")):                                            "item-not-found",
			query(filled("before-id=x")):                                            "item-not-found",
			query(filled("ids=1,99")):                                               "item-not-found",
			query(filled("ids=1,';DROP TABLE record;--")):                           "item-not-found",
			query(filled("ids=" + many)):                                            "policy-violation",
			query(filled("with=@x.test")):                                           "jid-malformed",
			query(filled("with=x'; DELETE FROM view; --@x.test")):                   "jid-malformed",
			query(filled("start=yesterday")):                                        "bad-request",
			query(filled("end=2026-11-23")):                                         "bad-request",
			query(filled("fulltext=hello")):                                         "feature-not-implemented",
			query(`<x xmlns="jabber:x:data" type="submit"/>`):                       "bad-request",
			query(strings.Replace(filled(), "urn:xmpp:mam:2", "urn:xmpp:mam:1", 1)): "bad-request",
		} {
			_, ms, err := r.ask(stanza.Set, payload)
			var se *stanza.Error
			if !errors.As(err, &se) || se.Condition != want {
				t.Errorf("%s: %v, want %s", payload, err, want)
			}
			if len(ms) > 0 {
				t.Errorf("%s: %d messages were sent", payload, len(ms))
			}
		}
		// What looks like SQL is a valid address: it finds nothing, and everything is still there.
		if _, ms, err := r.ask(stanza.Set, query(filled(`with=o"%_\`+"`"+`;--@x.test`))); err == nil && len(ms) > 0 {
			t.Errorf("%d messages with a stranger", len(ms))
		}
		if _, ms, err := r.ask(stanza.Set, query("")); err != nil || len(ms) != 10 {
			t.Errorf("afterwards %d messages: %v", len(ms), err)
		}
	})
}

// XEP-0313 §4.2: what is wrapped around each message; the client's own id comes back as it was.
func TestMAM_resultMessage(t *testing.T) {
	r := newReader(t, ten(t, storetest.SQLite(t)), alice, session.DefaultLimits)
	_, ms, err := r.ask(stanza.Set, `<query xmlns="urn:xmpp:mam:2" queryid="&lt;&quot;q&apos;&amp;&gt;">`+set("<max>1</max>")+`</query>`)
	if err != nil || len(ms) != 1 {
		t.Fatalf("%d messages: %v", len(ms), err)
	}
	res := ms[0].Child(Space, "result")
	if ms[0].Attr("from") != "alice@x.test" || ms[0].Attr("to") != "alice@x.test/phone" {
		t.Errorf("from %q to %q", ms[0].Attr("from"), ms[0].Attr("to"))
	}
	if res.Attr("queryid") != `<"q'&>` || res.Attr("id") != "1" {
		t.Errorf("queryid %q id %q", res.Attr("queryid"), res.Attr("id"))
	}
	d := res.Child("urn:xmpp:forward:0", "forwarded").Child("urn:xmpp:delay", "delay")
	if d == nil || d.Attr("stamp") != "2026-11-23T08:00:00.000000Z" {
		t.Errorf("delay %+v", d)
	}
}

// HARDENING F9: a page never fills the client's queue: it is cut, or refused for now, but the session lives.
func TestMAM_pageFitsTheQueue(t *testing.T) {
	a, _ := open(t, storetest.SQLite(t))
	for i := range 30 {
		add(t, a, entry(alice, bob, fmt.Sprintf("%02d%s", i, strings.Repeat("x", 1000))))
	}
	ids := "ids=1"
	for i := 2; i <= 30; i++ {
		ids += fmt.Sprintf(",%d", i)
	}
	long := `<query xmlns="urn:xmpp:mam:2" queryid="` + strings.Repeat("q", 900) + `"/>`
	for name, c := range map[string]struct {
		lim     session.Limits
		before  int // bytes that wait already
		payload string
		least   int
		refused bool
	}{
		"bytes":                  {session.Limits{Frames: 500, Bytes: 20_000, Held: 10}, 0, query(""), 5, false},
		"bytes, with ids":        {session.Limits{Frames: 500, Bytes: 20_000, Held: 10}, 0, query(filled(ids)), 5, false},
		"bytes, a long queryid":  {session.Limits{Frames: 500, Bytes: 20_000, Held: 10}, 0, long, 4, false},
		"frames":                 {session.Limits{Frames: 20, Bytes: 1 << 20, Held: 10}, 0, query(""), 10, false},
		"frames, with ids":       {session.Limits{Frames: 20, Bytes: 1 << 20, Held: 10}, 0, query(filled(ids)), 10, false},
		"no bytes left":          {session.Limits{Frames: 500, Bytes: 20_000, Held: 10}, 20_000, query(""), 0, true},
		"almost no bytes left":   {session.Limits{Frames: 500, Bytes: 20_000, Held: 10}, 19_000, query(""), 0, true},
		"not one message's room": {session.Limits{Frames: 500, Bytes: 1500, Held: 10}, 0, query(""), 0, true},
		"no frames left":         {session.Limits{Frames: 8, Bytes: 1 << 20, Held: 10}, 0, query(""), 0, true},
	} {
		r := newReader(t, a, alice, c.lim)
		if c.before > 0 {
			r.s.Push(&session.Frame{Bytes: make([]byte, c.before), Kind: stanza.Message})
		}
		p, err := elem.Parse([]byte(c.payload))
		if err != nil {
			t.Fatal(err)
		}
		fin, err := mam{a, r.table}.query(t.Context(), &im.IQ{From: alice, To: alice.Bare(), Payload: p, Session: r.s})
		if r.s.Overflowed() {
			t.Errorf("%s: the queue overflowed", name)
		}
		var se *stanza.Error
		if c.refused {
			if !errors.As(err, &se) || se.Condition != "resource-constraint" || se.Type != "wait" {
				t.Errorf("%s: %v, want resource-constraint, wait", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ms := r.taken()
		if len(ms) < c.least || len(ms) == 30 || fin.Attr("complete") != "" {
			t.Errorf("%s: %d messages, complete %q; want a cut page of at least %d", name, len(ms), fin.Attr("complete"), c.least)
		}
	}
}

// XEP-0313 §6.1 and §4.1.1.
func TestMAM_metadataAndFields(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a := ten(t, db)
		r := newReader(t, a, alice, session.DefaultLimits)
		out, _, err := r.ask(stanza.Get, `<metadata xmlns="urn:xmpp:mam:2"/>`)
		if err != nil {
			t.Fatal(err)
		}
		first, last := out.Child(Space, "start"), out.Child(Space, "end")
		if first.Attr("id") != "1" || first.Attr("timestamp") != "2026-11-23T08:00:00.000000Z" || last.Attr("id") != "10" {
			t.Errorf("%s", out.AppendTo(nil, ""))
		}
		empty := newReader(t, a, jid.MustParse("zoe@x.test/1"), session.DefaultLimits)
		if out, _, err = empty.ask(stanza.Get, `<metadata xmlns="urn:xmpp:mam:2"/>`); err != nil || len(out.Children) != 0 {
			t.Errorf("of an empty archive: %v %v", out, err)
		}
		out, _, err = r.ask(stanza.Get, query(""))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"with", "start", "end", "before-id", "after-id", "ids"} {
			if !strings.Contains(string(out.AppendTo(nil, "")), `'`+f+`'`) && !strings.Contains(string(out.AppendTo(nil, "")), `"`+f+`"`) {
				t.Errorf("the form lacks %s", f)
			}
		}
	})
}

// XEP-0313 §7: nobody but the owner; a request from no session has nobody to send to.
func TestMAM_onlyForASession(t *testing.T) {
	a := ten(t, storetest.SQLite(t))
	_, err := mam{a, route.NewTable(route.Config{Ledger: ledgerless{}, Now: time.Now})}.query(t.Context(),
		&im.IQ{From: alice, To: alice.Bare(), Payload: elem.New(Space, "query")})
	if err == nil {
		t.Error("answered")
	}
}

// ARCHITECTURE, whoever is away: a client that reads the archive up to the end is spared what it has read, and no more.
func TestMAM_notesWhatWasRead(t *testing.T) {
	a := ten(t, storetest.SQLite(t))
	for name, c := range map[string]struct {
		payloads []string
		archive  bool
		from     session.Pos
	}{
		"everything":                   {[]string{query("")}, true, 0},
		"the first page only":          {[]string{query(set("<max>3</max>"))}, false, 0},
		"the newest one only":          {[]string{query(set("<max>1</max><before/>"))}, true, 10},
		"the last page":                {[]string{query(set("<max>3</max><before/>"))}, true, 8},
		"a last page that is all":      {[]string{query(set("<max>30</max><before/>"))}, true, 0},
		"after what it has":            {[]string{query(set("<after>5</after>"))}, true, 0},
		"after what it has, by a form": {[]string{query(filled("after-id=5"))}, true, 0},
		"since a time":                 {[]string{query(filled("start=2026-11-23T08:06:00Z"))}, true, 7},
		"since a time, in pages": {[]string{query(filled("start=2026-11-23T08:06:00Z") + set("<max>3</max>")),
			query(filled("start=2026-11-23T08:06:00Z") + set("<max>3</max><after>9</after>"))}, true, 7},
		"nothing since a time": {[]string{query(filled("start=2026-11-24T08:06:00Z"))}, true, 11},
		"one person's":         {[]string{query(filled("with=bob@x.test"))}, false, 0},
		"up to a time":         {[]string{query(filled("end=2026-11-24T08:06:00Z"))}, false, 0},
		"an older page":        {[]string{query(set("<before>9</before>"))}, false, 0},
		"some ids":             {[]string{query(filled("ids=1"))}, false, 0},
		"a count":              {[]string{query(set("<max>0</max>"))}, false, 0},
	} {
		r := newReader(t, a, alice, session.DefaultLimits)
		for _, p := range c.payloads {
			if _, _, err := r.ask(stanza.Set, p); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		f := r.s.Flags()
		if f.Archive != c.archive || f.Archive && (f.ArchiveFrom != c.from || f.ArchivePos != 10) {
			t.Errorf("%s: read %v from %s to %s, want %v from %s to 10", name, f.Archive, f.ArchiveFrom, f.ArchivePos, c.archive, c.from)
		}
	}
}

// XEP-0334 §4.1: a message that may wait but is not to be shown later is not in the archive the client has read.
func TestSkip_onlyWhatTheArchiveShows(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		for i := range 4 {
			e := entry(alice, bob, fmt.Sprint(i))
			e.Waiting = bob
			if i == 1 {
				e.Views = []View{{bob, Keep}}
			}
			add(t, a, e)
		}
		left := func(from, upto session.Pos) string {
			if err := a.Skip(t.Context(), bob, from, upto); err != nil {
				t.Fatal(err)
			}
			ks, err := a.Waiting(t.Context(), bob, 0, 99, 9)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(texts(Page{Messages: ks}))
		}
		if got := left(4, 4); got != "[0 1 2]" {
			t.Errorf("after the last was read %s wait", got)
		}
		if got := left(0, 4); got != "[1]" {
			t.Errorf("after all were read %s wait", got)
		}
	})
}

// Most logins find nothing that waits for them: those write nothing.
func TestSkip_writesOnlyIfSomethingWaits(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		add(t, a, entry(alice, bob, "read"))
		// A write for an owner writes what its archive lacks, so that the tail shows it.
		skip := func(from, upto session.Pos) (wrote bool) {
			if !a.tail.has(bob.String()) {
				t.Fatal("the tail has nothing for bob: this would show nothing")
			}
			if err := a.Skip(t.Context(), bob, from, upto); err != nil {
				t.Fatal(err)
			}
			return !a.tail.has(bob.String())
		}
		if skip(0, a.Last()) {
			t.Error("written though nothing waits")
		}
		e := entry(alice, bob, "waiting")
		e.Waiting = bob
		add(t, a, e)
		if skip(0, a.Last()-1) {
			t.Error("written for what was read, though only something later waits")
		}
		if !skip(0, a.Last()) {
			t.Error("nothing was written though something waited")
		}
		if n, err := a.WaitingCount(t.Context(), bob); n != 0 || err != nil {
			t.Errorf("%d wait, %v", n, err)
		}
	})
}

// A clock that was wrong and is put right leaves later times before earlier ones: none is missed.
func TestRead_sinceATimeBeforeTheClockWentBack(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, c := open(t, db)
		right := c.t
		c.t = right.Add(3 * time.Hour)
		add(t, a, entry(alice, bob, "three hours ahead"))
		c.t = right.Add(time.Minute)
		add(t, a, entry(alice, bob, "right"))
		again, err := Open(t.Context(), db, c.now)
		if err != nil {
			t.Fatal(err)
		}
		c.t = right.Add(4 * time.Hour)
		add(t, again, entry(alice, bob, "later"))
		for since, want := range map[time.Duration]string{
			0: "[three hours ahead right later]", 2 * time.Hour: "[three hours ahead later]", 4 * time.Hour: "[later]", 5 * time.Hour: "[]",
		} {
			p := read(t, again, Query{Owner: bob, Max: 9, Start: right.Add(since)})
			if got := fmt.Sprint(texts(p)); got != want {
				t.Errorf("since %s: %s, want %s", since, got, want)
			}
		}
	})
}

// After a commit nobody can tell about, the writer looks where the log ends before it goes on.
func TestAppend_goesOnAfterADoubt(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		a, _ := open(t, db)
		add(t, a, entry(alice, bob, "1"))
		other, err := Open(t.Context(), db, a.now) // stands for the transaction that took place after all
		if err != nil {
			t.Fatal(err)
		}
		add(t, other, entry(alice, bob, "2"))
		a.stale = true
		e := entry(alice, bob, "3")
		add(t, a, e)
		if got := fmt.Sprint(texts(read(t, a, Query{Owner: bob, Max: 9}))); e.Pos != 3 || got != "[1 2 3]" {
			t.Errorf("at %s, archive %s", e.Pos, got)
		}
	})
}
