package attack

import (
	"strings"
	"testing"
	"time"
)

// X14: frames no client may send end the WebSocket; a length that is only
// declared costs nothing.
func TestX14_websocketFrames(t *testing.T) {
	t.Parallel()
	p := apart(t, 80)
	stop := canary(t, p)
	open := wsOpen
	half := open[:20]
	final, text, cont, binary, closing, ping, mask := byte(0x80), byte(1), byte(0), byte(2), byte(8), byte(9), byte(0x80)
	whole := func(op byte, s string) []byte { return frame(final|op, mask, uint64(len(s)), s) }
	part := func(op byte, s string) []byte { return frame(op, mask, uint64(len(s)), s) }
	join := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	for what, c := range map[string]struct {
		bytes []byte
		code  int
	}{
		"unmasked":                         {frame(final|text, 0, uint64(len(open)), open), 1002},
		"binary":                           {whole(binary, open), 1003},
		"text, then binary":                {join(part(text, half), whole(binary, "x")), 1003},
		"text within a message":            {join(part(text, half), whole(text, "x")), 1002},
		"continuation of nothing":          {whole(cont, open), 1002},
		"reserved opcode 3":                {whole(3, open), 1002},
		"reserved control opcode 11":       {whole(11, ""), 1002},
		"reserved bit 1":                   {frame(final|0x40|text, mask, 1, "x"), 1002},
		"reserved bit 3":                   {frame(final|0x10|text, mask, 1, "x"), 1002},
		"ping of 126 bytes":                {frame(final|ping, mask, 126, strings.Repeat("x", 126)), 1002},
		"ping in fragments":                {part(ping, "x"), 1002},
		"ping of 2⁶³ bytes":                {frame(final|ping, mask, 1<<63, ""), 1002},
		"close with half a code":           {whole(closing, "x"), 1002},
		"close with a code nobody may use": {whole(closing, "\x03\xed"), 1002},
	} {
		p.websocket(t).refused(t, what, c.bytes, c.code)
	}
	for what, n := range map[string]uint64{"2⁶³": 1 << 63, "2⁶⁴-1": 1<<64 - 1, "2³²": 1 << 32, "the limit+1": 64<<10 + 1} {
		w := p.websocket(t)
		e := w.last(frame(final|text, mask, n, "x"))
		if e.err != nil || e.condition != "policy-violation" || e.code == 0 {
			t.Errorf("a frame of %s declared bytes: %q, close %d, %v", what, e.condition, e.code, e.err)
		}
	}
	// Small fragments that together exceed the limit.
	e := p.websocket(t).last(join(part(text, "<a>"+strings.Repeat("x", 40<<10)), part(cont, strings.Repeat("x", 40<<10))))
	if e.err != nil || e.condition != "policy-violation" {
		t.Errorf("fragments over the limit: %q, %v", e.condition, e.err)
	}
	for what, s := range map[string]string{
		"two elements": open + open, "half an element": half, "text": "hello", "nothing": "", "space around": " " + open,
		"a TCP stream's header": header,
	} {
		e := p.websocket(t).last(textFrame(s))
		if e.err != nil || e.condition == "" || e.code == 0 {
			t.Errorf("a message with %s: %q, close %d, %v; %q", what, e.condition, e.code, e.err, tail(e.text))
		}
	}
	// What is allowed: fragments with control frames between them (RFC 6455 §5.4).
	w := p.websocket(t)
	if _, err := w.Write(join(part(text, half), whole(ping, "hi"), part(cont, ""), part(cont, open[20:40]), whole(cont, open[40:]))); err != nil {
		t.Fatal(err)
	}
	_ = w.SetReadDeadline(time.Now().Add(patience))
	if op, s, err := w.next(); err != nil || op != 10 || s != "hi" {
		t.Errorf("the ping between fragments: opcode %d %q %v", op, s, err)
	}
	w.until(t, "</stream:features>")
	p.declared(t)
	stop()
}

// declared announces the longest frames and sends one byte of each.
func (p *place) declared(t *testing.T) {
	const n, size = 60, 256 << 10
	var all []*websocket
	for range n {
		all = append(all, p.websocketBound(t, p.person(t)))
	}
	before := p.rss(t)
	for _, w := range all {
		if _, err := w.Write(frame(0x81, 0x80, size, "<")); err != nil {
			t.Fatal(err)
		}
		w.SetWriteDeadline(time.Time{})
	}
	peak := before
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		peak = max(peak, p.rss(t))
		until(20*time.Millisecond, func() bool { return false })
	}
	t.Logf("%d frames declared with %d bytes each: %d KiB", n, size, (peak-before)>>10)
	if grew := peak - before; grew > n*64<<10 {
		t.Errorf("%d bytes for %d declared frames, limit 64 KiB each", grew, n)
	}
}
