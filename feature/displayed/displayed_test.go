package displayed

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func message(t *testing.T, content string) *stanza.Stanza {
	t.Helper()
	sc := elem.NewScanner(elem.DefaultLimits())
	src := []byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><message to='bob@x.test' type='chat'>" + content + "</message>")
	for {
		ev, n, err := sc.Next(src)
		if err != nil {
			t.Fatal(err)
		}
		if ev == elem.Stanza {
			st, err := stanza.Read(sc.Raw(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		src = src[n:]
	}
}

// XEP-0490 §4.5.3: kept by the chat's address, the newest last, and taken out.
func TestTake_keepsAndStrips(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if err := db.Migrate(t.Context(), []store.Migrations{pubsub.Migrations()}); err != nil {
			t.Fatal(err)
		}
		nodes := pubsub.New(pubsub.Setup{DB: db, Initial: func(string) pubsub.Config { return pubsub.Private() }})
		alice := jid.MustParse("alice@x.test/1")
		const marker = `<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>`
		read := func(id string) string {
			return `<displayed xmlns='urn:xmpp:mds:displayed:0'><stanza-id xmlns='urn:xmpp:sid:0' by='alice@x.test' id='` + id + `'/></displayed>`
		}
		for _, c := range []struct{ in, out string }{
			{marker, marker},
			{marker + read("1"), marker},
			{read("2") + marker + read("3"), marker}, // all of them go, the first counts
		} {
			st, err := Take(t.Context(), nodes, alice, message(t, c.in))
			if err != nil || string(st.Content) != c.out {
				t.Errorf("%s: %s %v", c.in, st.Content, err)
			}
		}
		_, err := Take(t.Context(), nodes, alice, message(t, `<displayed xmlns='urn:xmpp:mds:displayed:0'/>`))
		var se *stanza.Error
		if !errors.As(err, &se) || se.Condition != "bad-request" {
			t.Errorf("without a stanza-id: %v", err)
		}
		root, err := nodes.Root(context.Background(), alice.Bare())
		if err != nil || root.Node(Node) == nil || root.Node(Node).Config.Access != pubsub.Whitelist {
			t.Fatalf("%v %v", root, err)
		}
		p, err := nodes.Items(t.Context(), root.Node(Node), pubsub.Query{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, it := range p.Items {
			got = append(got, it.ID+" "+string(it.Payload))
		}
		if want := []string{"bob@x.test " + read("2")}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
