package room

import (
	cli "flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store/storetest"
)

var (
	orderOps  = cli.Int("order-ops", 1000, "operations of TestRoom_serialOrder, all together (HARDENING M2: 100000)")
	orderSeed = cli.Uint64("order-seed", 0, "seed of TestRoom_serialOrder; 0: a new one")
)

// What one thread could have answered is searched for: with many at once in one
// room there are too many orders. So 64 work at the same time, in eight rooms.
const (
	orderRooms  = 8
	orderPeople = 8
)

// doing is one operation of somebody on a room, done what came of it.
type doing struct {
	op      string // enter, leave, configure, affiliate, destroy, list, count
	by, who int
	to      Affiliation
}

type done struct{ said, list string }

// sim is a room as one thread would have it, from XEP-0045 §7, §9 and §10; it is
// a value, so that porcupine can compare states.
type sim struct {
	state state
	aff   [orderPeople]Affiliation // None where nothing is said
	in    [orderPeople]bool
}

func nobody() sim {
	var s sim
	for i := range s.aff {
		s.aff[i] = None
	}
	return s
}

func (s *sim) owners() (n int) {
	for _, a := range s.aff {
		if a == Owner {
			n++
		}
	}
	return n
}

// does carries an operation out and says what its answer must be.
func (s *sim) does(d doing) done {
	if d.op == "enter" {
		return s.enter(d.by)
	}
	if d.op == "leave" {
		s.out(d.by)
		return done{said: "ok"}
	}
	mine := s.aff[d.by]
	if s.state == void || s.state == locked && mine != Owner {
		return done{said: "item-not-found"}
	}
	switch d.op {
	case "configure":
		if mine != Owner {
			return done{said: "forbidden"}
		}
		s.state = open
	case "destroy":
		if mine != Owner {
			return done{said: "forbidden"}
		}
		*s = nobody()
	case "list":
		if mine != Owner && (mine < Admin || d.to > Member) {
			return done{said: "forbidden"}
		}
		return done{"ok", s.list(d.to)}
	case "count":
		n := 0
		for _, here := range s.in {
			if here {
				n++
			}
		}
		return done{"ok", strconv.Itoa(n)}
	case "affiliate":
		return s.affiliate(d)
	}
	return done{said: "ok"}
}

// out takes somebody out; who is not here does not leave (XEP-0045 §17.3).
func (s *sim) out(u int) {
	was := s.in[u]
	s.in[u] = false
	if was && s.state == locked && !slices.Contains(s.in[:], true) { // XEP-0045 §10.1.3
		*s = nobody()
	}
}

func (s *sim) enter(u int) done {
	switch {
	case s.state == void:
		s.state, s.aff[u] = locked, Owner
	case s.in[u]:
	case s.state == locked && s.aff[u] != Owner:
		return done{said: "item-not-found"}
	case s.aff[u] == Outcast:
		return done{said: "forbidden"}
	}
	s.in[u] = true
	return done{said: "ok"}
}

func (s *sim) affiliate(d doing) done {
	// Who may what is a table of its own, tried by TestRoom_accessMatrix.
	if err := mayGrant(s.aff[d.by], s.aff[d.who], d.to, d.by == d.who); err != nil {
		return done{said: condition(err)}
	}
	next := *s
	next.aff[d.who] = d.to
	if next.owners() == 0 {
		return done{said: "conflict"}
	}
	*s = next
	if d.to == Outcast {
		s.out(d.who)
	}
	return done{said: "ok"}
}

func (s *sim) list(a Affiliation) string {
	var out []string
	for i, b := range s.aff {
		if a == b {
			out = append(out, fmt.Sprintf("u%d@x.test", i))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// does is the same on a room.
func (f *fixture) does(s *session.Session, at string, d doing) (out done) {
	switch d.op {
	case "enter":
		return done{said: condition(f.rs.Presence(f.t.Context(), s, read(f.t, s.JID(), fmt.Sprintf("<presence to='%s/U%d'><x xmlns='http://jabber.org/protocol/muc'/></presence>", at, d.by))))}
	case "leave":
		return done{said: condition(f.rs.Presence(f.t.Context(), s, read(f.t, s.JID(), fmt.Sprintf("<presence type='unavailable' to='%s/U%d'/>", at, d.by))))}
	case "configure":
		_, out.said = f.ask(s, at, "set", "<query xmlns='"+spaceOwner+"'><x xmlns='jabber:x:data' type='submit'/></query>")
	case "destroy":
		_, out.said = f.ask(s, at, "set", "<query xmlns='"+spaceOwner+"'><destroy/></query>")
	case "affiliate":
		_, out.said = f.ask(s, at, "set", fmt.Sprintf("<query xmlns='%s'><item jid='u%d@x.test' affiliation='%s'/></query>", spaceAdmin, d.who, d.to))
	case "list":
		e, said := f.ask(s, at, "get", fmt.Sprintf("<query xmlns='%s'><item affiliation='%s'/></query>", spaceAdmin, d.to))
		if out.said = said; said == "ok" {
			var who []string
			for _, it := range e.Children {
				who = append(who, it.Attr("jid"))
			}
			slices.Sort(who)
			out.list = strings.Join(who, " ")
		}
	case "count":
		e, said := f.ask(s, at, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
		if out.said = said; said == "ok" {
			_, rest, _ := strings.Cut(strings.ReplaceAll(e.String(), `"`, "'"), "muc#roominfo_occupants")
			_, rest, _ = strings.Cut(rest, "<value>")
			out.list, _, _ = strings.Cut(rest, "<")
		}
	}
	return out
}

func something(rng *rand.Rand, by int) doing {
	d := doing{by: by, who: rng.IntN(orderPeople)}
	switch k := rng.IntN(40); {
	case k < 10:
		d.op = "enter"
	case k < 13:
		d.op = "leave"
	case k < 15:
		d.op = "configure"
	case k < 30:
		d.op, d.to = "affiliate", []Affiliation{Outcast, None, Member, Admin, Owner, Owner}[rng.IntN(6)]
	case k < 35:
		d.op, d.to = "list", []Affiliation{Outcast, Member, Admin, Owner}[rng.IntN(4)]
	case k < 39:
		d.op = "count"
	default:
		d.op = "destroy"
	}
	return d
}

func orderModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return nobody() },
		Step: func(state, input, output any) (bool, any) {
			s, ok := state.(sim)
			d, isDoing := input.(doing)
			got, isDone := output.(done)
			if !ok || !isDoing || !isDone {
				return false, state
			}
			return s.does(d) == got, s
		},
	}
}

// HARDENING M2: 64 goroutines, in eight rooms, enter, leave, configure, destroy and change affiliations
// at the same time, ten times each; what they were answered is what one after another
// would have been answered, in some order. Then in other rooms, until all operations are done.
func TestRoom_serialOrder(t *testing.T) {
	seed := *orderSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-order-seed=%d -order-ops=%d", seed, *orderOps)
	f := newFixture(t, storetest.SQLite(t))
	set := *f.rs.live.Load()
	set.Default.Persistent = true
	f.rs.live.Store(&set)
	const each = 10
	refused, total := map[string]int{}, 0
	for round := 0; total < *orderOps; round++ {
		var histories [orderRooms][]porcupine.Operation
		var wg sync.WaitGroup
		for i := range histories {
			wg.Go(func() {
				n := round*orderRooms + i
				histories[i] = f.round(fmt.Sprintf("r%d@rooms.x.test", n), seed, uint64(n), each)
			})
		}
		wg.Wait()
		for _, history := range histories {
			total += len(history)
			for _, op := range history {
				if out, ok := op.Output.(done); ok {
					refused[out.said]++
				}
			}
			switch porcupine.CheckOperationsTimeout(orderModel(), history, time.Minute) {
			case porcupine.Illegal:
				slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
				for _, op := range history {
					t.Logf("%d-%d %+v: %+v", op.Call/1000, op.Return/1000, op.Input, op.Output)
				}
				t.Fatalf("round %d: what was answered is no serial order's answer", round)
			case porcupine.Unknown:
				t.Errorf("round %d was not decided within a minute", round)
			}
		}
	}
	t.Logf("answers: %v", refused)
	if refused["ok"] == 0 || refused["forbidden"] == 0 || refused["item-not-found"] == 0 {
		t.Errorf("the operations do not meet: %v", refused)
	}
}

func (f *fixture) round(at string, seed, round uint64, each int) []porcupine.Operation {
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		history []porcupine.Operation
		zero    = time.Now()
	)
	people := make([]*session.Session, orderPeople)
	for i := range people {
		people[i] = f.bind(fmt.Sprintf("u%d@x.test/%d", i, round))
	}
	for i, s := range people {
		rng := rand.New(rand.NewPCG(seed, round<<8|uint64(i)))
		wg.Go(func() {
			for n := range each {
				d := something(rng, i)
				if i == 0 && n < 2 { // there is a room to begin with
					d.op = []string{"enter", "configure"}[n]
				}
				op := porcupine.Operation{ClientId: i, Input: d, Call: int64(time.Since(zero))}
				op.Output = f.does(s, at, d)
				op.Return = int64(time.Since(zero))
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, s := range people {
		f.rs.Unavailable(f.t.Context(), s, nil)
		f.rt.Remove(s)
		s.End()
	}
	return history
}

// The check itself is tried: a ban that did not keep its victim out, and a room without an owner.
func TestRoom_serialOrderIsChecked(t *testing.T) {
	at := func(n int, d doing, said done) porcupine.Operation {
		return porcupine.Operation{ClientId: d.by, Input: d, Call: int64(2 * n), Output: said, Return: int64(2*n + 1)}
	}
	ok := done{said: "ok"}
	made := []porcupine.Operation{at(0, doing{op: "enter"}, ok), at(1, doing{op: "configure"}, ok)}
	for name, h := range map[string][]porcupine.Operation{
		"banned and in": {at(2, doing{op: "affiliate", who: 1, to: Outcast}, ok), at(3, doing{op: "enter", by: 1}, ok)},
		"no owner":      {at(2, doing{op: "affiliate", who: 0, to: Member}, ok)},
		"lost grant":    {at(2, doing{op: "affiliate", who: 1, to: Owner}, ok), at(3, doing{op: "list", to: Owner}, done{"ok", "u0@x.test"})},
		"taken rights":  {at(2, doing{op: "affiliate", who: 1, to: Admin}, done{said: "ok"}), at(3, doing{op: "destroy", by: 1}, ok)},
	} {
		if porcupine.CheckOperations(orderModel(), append(slices.Clone(made), h...)) {
			t.Errorf("%s: not seen", name)
		}
	}
	if !porcupine.CheckOperations(orderModel(), made) {
		t.Error("a legal history is refused")
	}
}
