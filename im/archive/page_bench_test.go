package archive

import (
	"fmt"
	"testing"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// BenchmarkPage is a page of 50 of an archive that is read backwards: the query, the frames
// it makes, and the session's queue; not the writing.
func BenchmarkPage(b *testing.B) {
	db := storetest.SQLite(b)
	const most = 20_000
	a, _ := open(b, db)
	for i := 0; i < most; i += 100 {
		es := make([]*Entry, 100)
		for j := range es {
			es[j] = entry(alice, bob, fmt.Sprint("what is said in message ", i+j))
		}
		add(b, a, es...)
	}
	r := newReader(b, a, alice, session.DefaultLimits)
	m := mam{a: a, routes: r.table}
	room := make([]*session.Frame, 0, 1000)
	before := ""
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		p, err := elem.Parse([]byte(query(set("<max>50</max><before>" + before + "</before>"))))
		if err != nil {
			b.Fatal(err)
		}
		out, err := m.query(b.Context(), &im.IQ{Type: stanza.Set, ID: "1", From: r.s.JID(), To: r.s.JID().Bare(), Payload: p, Session: r.s})
		if err != nil {
			b.Fatal(err)
		}
		if n := len(r.s.Take(nobody{}, room)); n != 50 {
			b.Fatal(n, "messages")
		}
		r.s.Wrote(nobody{})
		if before = out.Child("http://jabber.org/protocol/rsm", "set").ChildText("first"); out.Attr("complete") == "true" {
			before = ""
		}
	}
}
