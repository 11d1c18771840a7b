package deliver

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store/storetest"
)

var (
	roomOps  = flag.Int("room-ops", 0, "operations of TestRoom_races, all together; 0: 640 with -short, else 6400 (HARDENING M2: 100000)")
	roomSeed = flag.Uint64("room-seed", 0, "seed of TestRoom_races; 0: a new one")
)

// HARDENING M2: many change one room at the same time. Who was banned or has left
// gets nothing said afterwards, everybody sees the log's order, there is always an
// owner, and what is in memory is what is on disk.
func TestRoom_races(t *testing.T) {
	ops := *roomOps
	if ops == 0 {
		ops = 6400
		if testing.Short() {
			ops = 640
		}
	}
	seed := *roomSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-room-seed=%d -room-ops=%d", seed, ops)
	const workers = 64
	db := storetest.SQLite(t)
	w := roomWorld(t, db, session.Limits{Frames: 1 << 20, Bytes: 1 << 30, Held: 10})
	boss := w.bind("boss@x.test/1")
	boss.enter("r", "boss")
	boss.configure("r", "roomconfig_persistentroom", "1", "roomconfig_changesubject", "1")
	devices := make([]*device, workers)
	for i := range devices {
		devices[i] = w.bind(fmt.Sprintf("u%d@x.test/1", i))
		if i < 8 { // several owners act at once
			boss.affiliate("r", fmt.Sprintf("u%d@x.test", i), "owner")
		}
	}
	var wg sync.WaitGroup
	for i, d := range devices {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for n := range ops / workers {
				d.act(rng, i, n)
			}
		})
	}
	wg.Wait()
	for _, d := range append(devices, boss) {
		d.try("<iq to='r@rooms.x.test' type='get' id='fence'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
		d.await(`id="fence"`, 0)
		d.checkVisit(t)
	}
	before := ownersLists(boss, w)
	w.stop()
	w = roomWorld(t, db, session.DefaultLimits)
	if after := ownersLists(w.bind("boss@x.test/2"), w); !slices.Equal(before, after) {
		t.Errorf("in memory was\n%s\non disk is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if !strings.Contains(before[0], `affiliation="owner"`) {
		t.Errorf("nobody owns the room: %s", before[0])
	}
}

// XEP-0045 §10.4: of the last two owners who give up at the same time, one stays.
func TestRoom_lastOwners(t *testing.T) {
	w := roomWorld(t, storetest.SQLite(t), session.DefaultLimits)
	a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
	for i := range 30 {
		r := fmt.Sprint("last", i)
		a.enter(r, "A")
		a.configure(r, "roomconfig_persistentroom", "1")
		a.affiliate(r, "b@x.test", "owner")
		var wg sync.WaitGroup
		for _, d := range []*device{a, b} {
			wg.Go(func() {
				d.try("<iq to='%s@rooms.x.test' type='set' id='%s'><query xmlns='"+admin+"'><item jid='%s' affiliation='none'/></query></iq>", r, r, d.s.JID().Bare())
			})
		}
		wg.Wait()
		n := 0
		for _, d := range []*device{a, b} {
			if f, _ := d.await(`^<iq [^>]*id="`+r+`"`, 0); strings.Contains(f, "<conflict") {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%d of two last owners were refused", n)
		}
	}
}

// XEP-0045 §10.9: a room is destroyed and made again while others enter and speak.
// Nobody gets anything of it after it was destroyed for him, nor of the old one in the new.
func TestRoom_destroyedUnderFire(t *testing.T) {
	w := roomWorld(t, storetest.SQLite(t), session.Limits{Frames: 1 << 20, Bytes: 1 << 30, Held: 10})
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	var wg sync.WaitGroup
	var all []*device
	for i := range 16 {
		d := w.bind(fmt.Sprintf("u%d@x.test/1", i))
		all = append(all, d)
		wg.Go(func() {
			for n := range rounds { // whoever made it is its owner; the others are refused
				d.enter("r", fmt.Sprint("U", i))
				d.configure("r")
				d.groupchat("r", fmt.Sprintf("%d-%d", i, n))
				if n%3 == 2 {
					d.try("<iq to='r@rooms.x.test' type='set' id='d%d'><query xmlns='"+owner+"'><destroy/></query></iq>", n)
				}
			}
		})
	}
	wg.Wait()
	destroyed := 0
	for _, d := range all {
		d.try("<iq to='rooms.x.test' type='get' id='fence'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
		d.await(`id="fence"`, 0)
		d.checkVisit(t)
		destroyed += strings.Count(strings.Join(d.all, ""), "<destroy")
	}
	if destroyed < rounds {
		t.Errorf("only %d were thrown out of a destroyed room", destroyed)
	}
}

// A temporary room outlives the server's stop: its people come back and are what
// they were. It goes with the last of them (XEP-0045 §7.14).
func TestRoom_temporary(t *testing.T) {
	db := storetest.SQLite(t)
	w := roomWorld(t, db, session.DefaultLimits)
	a := w.bind("a@x.test/1")
	a.enter("temp", "A")
	a.configure("temp")
	w.path.cfg.Rooms.(*room.Rooms).Stop()
	w.path.End(t.Context(), a.s)
	w.stop()
	w = roomWorld(t, db, session.DefaultLimits)
	b, a := w.bind("b@x.test/1"), w.bind("a@x.test/1")
	b.enter("temp", "B")
	b.await(`affiliation="none" role="participant".*code="110"`, 0)
	a.enter("temp", "A")
	a.await(`affiliation="owner".*code="110"`, 0)
	w.path.End(t.Context(), a.s)
	w.path.End(t.Context(), b.s)
	c := w.bind("c@x.test/1")
	c.enter("temp", "C")
	c.await(`affiliation="owner".*code="201"`, 0) // another room
}

// act does one thing somebody might.
func (d *device) act(rng *rand.Rand, i, n int) {
	whom := fmt.Sprintf("u%d@x.test", 8+rng.IntN(56))
	switch k := rng.IntN(20); {
	case k < 6:
		d.enter("r", fmt.Sprint("U", i))
	case k < 12:
		d.groupchat("r", fmt.Sprintf("%d-%d", i, n))
	case k < 13:
		d.try("<presence to='r@rooms.x.test/U%d' type='unavailable'></presence>", i)
	case k < 14:
		d.try("<presence to='r@rooms.x.test/V%d'></presence>", i)
	case k < 15:
		d.try("<iq to='r@rooms.x.test' type='set' id='k'><query xmlns='"+admin+"'><item nick='U%d' role='none'/></query></iq>", rng.IntN(64))
	case k < 16:
		d.try("<message to='r@rooms.x.test' type='groupchat'><subject>%d-%d</subject></message>", i, n)
	case k < 19:
		d.affiliate("r", whom, []string{"outcast", "outcast", "none", "member", "admin", "owner"}[rng.IntN(6)])
	default: // an owner gives himself up, if he may
		d.affiliate("r", d.s.JID().Bare().String(), "none")
	}
}

// checkVisit goes through all a device got: what was said only while it was in,
// and in the log's order.
func (d *device) checkVisit(t *testing.T) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	in := false
	var last session.Pos
	for i, raw := range d.all {
		f := quoted(raw)
		self := strings.Contains(f, `<status code="110"/>`)
		switch {
		case strings.HasPrefix(f, "<presence") && strings.Contains(f, "<destroy"):
			in = false
		case strings.HasPrefix(f, "<presence") && self:
			// XEP-0045 §7.6: with a new nickname one stays.
			in = !strings.Contains(f, `type="unavailable"`) || strings.Contains(f, `<status code="303"/>`)
			last = 0 // history comes next
		case !strings.HasPrefix(f, "<message") || strings.Contains(f, `type="error"`):
		case !in:
			t.Errorf("%s got frame %d while it was not in the room: %s", d.s.JID(), i, f)
			return
		default:
			_, rest, _ := strings.Cut(f, `by="r@rooms.x.test" id="`)
			id, _, _ := strings.Cut(rest, `"`)
			pos, ok := session.ParsePos(id)
			if ok && pos <= last {
				t.Errorf("%s got %d after %d", d.s.JID(), pos, last)
			}
			if ok {
				last = pos
			}
		}
	}
}

// ownersLists are all lists of affiliations.
func ownersLists(d *device, w *world) (out []string) {
	d.mu.Lock()
	n := len(d.all)
	d.mu.Unlock()
	for _, a := range []string{"owner", "admin", "member", "outcast"} {
		id := fmt.Sprintf("l%d", time.Now().UnixNano())
		d.try("<iq to='r@rooms.x.test' type='get' id='%s'><query xmlns='"+admin+"'><item affiliation='%s'/></query></iq>", id, a)
		f, _ := d.await(`id="`+id+`"`, n)
		_, list, _ := strings.Cut(f, "<query")
		// Who has not reserved a nickname is listed with the one he has now.
		out = append(out, regexp.MustCompile(` nick="[^"]*"`).ReplaceAllString(list, ""))
	}
	return out
}
