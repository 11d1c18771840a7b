package c2s_test

import (
	"bufio"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func large(i int) *session.Frame {
	return &session.Frame{Bytes: fmt.Appendf(nil, "<message id='%d'><body>%s</body></message>", i, strings.Repeat("x", 60_000)), NameEnd: 8, Kind: stanza.Message}
}

// More clients than there are writers read nothing while much is sent to them: the others
// get what is theirs, and they get theirs, in order, when they read. What only waits to be
// sent does not count as written.
func TestWriters_clientsThatDoNotRead(t *testing.T) {
	b := start(t, func(c *c2s.Config) { c.Limits.Write = 2 * time.Minute })
	quick := b.login("bob", "desk")
	var slow []*client.Conn
	var counts []int
	stuck := runtime.GOMAXPROCS(0) + 1
	const most = 400 // 24 MB: more than the sockets of this machine take
	for i := range stuck {
		c := b.authed()
		name, err := c.Bind(fmt.Sprint("slow", i))
		if err != nil {
			t.Fatal(err)
		}
		c.Unlimited()
		s := b.core.Session(name)
		space := s.Space()
		pushed := 0
		for full := false; !full && pushed < most; pushed++ {
			s.Push(large(pushed))
			for queued := 11; queued > 10 && !full; { // the queue would overflow
				sent, waiting := s.Unacked()
				if queued = sent + waiting; queued > 10 {
					select {
					case <-space:
					case <-time.After(300 * time.Millisecond): // the network takes no more
						full = true
					}
				}
			}
		}
		if pushed == most {
			t.Fatalf("%d messages of 60 KB to a client that does not read, and all were taken", most)
		}
		counts = append(counts, pushed)
		slow = append(slow, c)
	}
	for i := range 20 {
		b.core.Session(quick.JID).Push(&session.Frame{Bytes: fmt.Appendf(nil, "<message id='q%d'><body>%d</body></message>", i, i), NameEnd: 8, Kind: stanza.Message})
		if n, err := quick.Next(patience); err != nil || n.Body() != strconv.Itoa(i) {
			t.Fatal(n, err)
		}
	}
	for i, c := range slow {
		r := bufio.NewReader(c.Conn) // megabytes of it
		for k := 0; k < counts[i]; {
			tag, err := r.ReadString('>')
			if err != nil {
				t.Fatal(err)
			}
			if id, ok := strings.CutPrefix(tag, "<message id='"); ok {
				if id != strconv.Itoa(k)+"'>" {
					t.Fatalf("%s, want %d", id, k)
				}
				k++
			}
		}
	}
}
