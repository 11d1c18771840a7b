package command

import (
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/trace"
)

func TestTraceLine_table(t *testing.T) {
	at := time.Date(2026, 11, 25, 4, 18, 1, 123456000, time.Local)
	for _, c := range []struct {
		e    trace.Event
		want string
	}{
		{trace.Event{Verb: "commit", Kind: "message", ID: "c1f0", From: "alice@x.test/desk", To: "bob@x.test", What: "at position 7"},
			"04:18:01.123456 commit  message c1f0 alice@x.test/desk → bob@x.test: at position 7"},
		{trace.Event{Verb: "write", Kind: "message", To: "bob@x.test/p", What: "80 bytes"}, "04:18:01.123456 write   message → bob@x.test/p: 80 bytes"},
		{trace.Event{Verb: "accept", Kind: "iq", ID: "a\n\x1b[2J\u009b1"}, "04:18:01.123456 accept  iq a��[2J�1"},
	} {
		c.e.At = at
		if got := traceLine(c.e); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
