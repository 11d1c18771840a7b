package deliver

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// HARDENING F10: who acknowledges nothing in a busy room holds places in its archive;
// XEP-0198 §5: resumed, the same comes once more, to the byte: what is in the archive of the
// room, what is in nobody's, and what is in none at all.
func TestPath_roomResumedFromTheArchive(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := roomWorld(t, db, session.DefaultLimits)
		a := w.bind("a@x.test/1")
		a.enter("r", "A &amp; &lt;B&gt; / &apos;C&apos;") // a nickname that has to be escaped
		a.configure("r")
		phone := w.reader("b@x.test/phone", false)
		if err := phone.in.Stanza(t.Context(), scanRaw(t, "<presence to='r@rooms.x.test/B'>"+mucX+"</presence>")); err != nil {
			t.Fatal(err)
		}
		joined := len(phone.pull())
		talk := func(from, upto int) {
			for i := from; i < upto; i++ {
				a.groupchat("r", fmt.Sprintf("%d %s", i, strings.Repeat("&lt;", 100)))
				a.try("<message to='r@rooms.x.test' type='groupchat' xml:lang='de' id='n' xmlns:p='urn:p'><body>shown to nobody later</body><p:x>1</p:x><no-store xmlns='urn:xmpp:hints'/></message>")
				a.try("<message to='r@rooms.x.test' type='groupchat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
			}
			a.await(fmt.Sprintf("<body>%d ", upto-1), 0)
		}
		talk(0, 60)
		first := slices.Clone(phone.pull())
		if n := len(first) - joined; n != 180 || strings.Count(strings.Join(first[joined:], ""), "urn:xmpp:sid:0") != 60 {
			t.Fatalf("%d stanzas came", n)
		}
		if n := phone.inMemory(); n > 32<<10 {
			t.Errorf("%d bytes are held for 180 stanzas", n)
		}
		phone.resume(joined + 7)
		phone.same("resumed", phone.pull(), first[joined+7:])
		w.path.Detach(phone.s, phone.out)
		talk(60, 80) // while nobody is there
		if n := phone.inMemory(); n > 40<<10 {
			t.Errorf("%d bytes are held by a session that hibernates", n)
		}
		phone.resume(joined + 150)
		again := slices.Clone(phone.pull())
		phone.same("resumed once more", again[:30], first[joined+150:])
		if len(again) != 30+60 || !strings.Contains(again[30], "<body>60 ") || !strings.Contains(again[30], " to='b@x.test/phone'") {
			t.Fatalf("%d came; behind what had been sent there is %s", len(again), again[30])
		}
		if err := phone.s.Ack(uint32(joined + 240)); err != nil {
			t.Fatal(err)
		}
		if err := w.path.cfg.Ledger.Sync(t.Context(), jid.MustParse("b@x.test")); err != nil {
			t.Fatal(err)
		}
		if n, err := w.arch.WaitingCount(t.Context(), jid.MustParse("b@x.test")); n != 0 || err != nil {
			t.Errorf("%d messages of a room wait (%v)", n, err)
		}
	})
}
