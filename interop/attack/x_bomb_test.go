package attack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
)

// bomb is XML that wants more of a parser than its bytes.
type bomb struct {
	text      string
	condition string // the stream error it must end with; "" if it is cut off before it is complete
}

// bombs are the attacks of X1, X3 and X4, whole or all but their last byte.
func bombs() map[string]bomb {
	const size = 250 << 10
	fill := func(head, unit string, n int) string {
		s := head + strings.Repeat(unit, min(n, (size-len(head))/len(unit)))
		return s + "<z>" + strings.Repeat("y", size-len(s))
	}
	message := "<message to='" + bare("nobody") + "'>"
	decls := "<d"
	for i := range 64 {
		decls += fmt.Sprintf(" xmlns:p%d='n%d'", i, i)
	}
	return map[string]bomb{
		"billion laughs":       {"<!DOCTYPE l [<!ENTITY a 'ha'>" + strings.Repeat("<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>", 100) + "]>", "restricted-xml"},
		"quadratic entity":     {"<!DOCTYPE q [<!ENTITY a '" + strings.Repeat("a", 50_000) + "'>]><message>" + strings.Repeat("&a;", 5000), "restricted-xml"},
		"10⁵ open tags":        {strings.Repeat("<a>", 100_000), "policy-violation"},
		"50 open tags":         {fill("<message>"+strings.Repeat("<a>", 48), "x", 1), ""},
		"4090 elements":        {fill(message, "<a/>", 4080), ""},
		"64 attributes each":   {fill(message, "<a"+attributes(64)+"/>", 4080), ""},
		"64 declarations each": {fill(message, decls+"/>", 4080), ""},
		"one attribute":        {message + "<a b='" + strings.Repeat("x", size), ""},
		"one name":             {message + "<" + strings.Repeat("x", size), ""},
		"one text":             {message + "<body>" + strings.Repeat("&amp;", size/5), ""},
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " a%d=''", i)
	}
	return b.String()
}

// X1, X3, X4: bombs on many connections at once. Those that can be told are
// refused; those within the limits cost no more than 12 times their bytes while
// they are incomplete; honest people notice nothing.
func TestX4_bombsFromManyConnections(t *testing.T) {
	t.Parallel()
	each := scaled(4, 40)
	kinds := bombs()
	p := apart(t, 10+each*len(kinds))
	stop := canary(t, p)
	var conns []*client.Conn
	what := map[*client.Conn]string{}
	for i := range each {
		for _, k := range slices.Sorted(maps.Keys(kinds)) {
			s := bound
			if kinds[k].condition != "" {
				s = []stage{opened, secured, authed, bound}[i%4] // refused at any point
			}
			c := p.at(t, s, p.person(t))
			what[c] = k
			conns = append(conns, c)
		}
	}
	before, held := p.rss(t), int64(0)
	peak := p.detonate(t, conns, func(c *client.Conn) bomb { return kinds[what[c]] })
	for _, c := range conns {
		if kinds[what[c]].condition == "" {
			held += int64(len(kinds[what[c]].text))
		}
		_ = c.Close()
	}
	grew := peak - before
	back := p.recovers(t, before)
	r := stop()
	t.Logf("%d bombs, %s incomplete: resident memory grew by %s, %.1f bytes a byte", len(conns), mib(held), mib(grew), float64(grew)/float64(held))
	if grew > 12*held {
		t.Errorf("MEM: %s for %s of incomplete stanzas, limit 12 times", mib(grew), mib(held))
	}
	measured("X1, X3, X4", fmt.Sprintf("%d bombs of %d kinds at once, %s of it in stanzas that never end", len(conns), len(kinds), mib(held)),
		fmt.Sprintf("refused with the right condition: all that can be; RSS %s → %s, %.1f bytes a byte, %s; %s", mib(before), mib(peak), float64(grew)/float64(held), back, r.health()),
		"CLOSED; ≤ 12 bytes a byte; MEM; CANARY")
}

// detonate sends all bombs at once and returns the peak of resident memory
// until three seconds after the last.
func (p *place) detonate(t *testing.T, conns []*client.Conn, of func(*client.Conn) bomb) (peak int64) {
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			b := of(c)
			if b.condition != "" {
				closed(t, fmt.Sprintf("%.60s…", b.text), c, b.text, b.condition)
				return
			}
			if err := c.Send(b.text); err != nil {
				t.Errorf("%.60s…: %v", b.text, err)
			}
		})
	}
	sent := make(chan struct{})
	go func() { wg.Wait(); close(sent) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var end <-chan time.Time
	for {
		select {
		case <-sent:
			sent, end = nil, time.After(3*time.Second)
		case <-end:
			return peak
		case <-tick.C:
			peak = max(peak, p.rss(t))
		}
	}
}
