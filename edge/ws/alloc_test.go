//go:build !race

package ws

import (
	"testing"

	gobwas "github.com/gobwas/ws"

	"github.com/parlance-im/parlance/xmpp/stream"
)

// Neither way of a WebSocket message allocates: a frame is made where the
// element stands, and taken apart where it was read.
func TestFraming_allocatesNothing(t *testing.T) {
	el := []byte("<message to='bob@acme.test' type='chat'><body>Shall we meet at ten?</body></message>")
	f, room := framing{}, make([]byte, 0, 1024)
	var out []byte
	if n := testing.AllocsPerRun(500, func() { out = f.Element(room, el, len("<message")) }); n != 0 {
		t.Errorf("out: %v allocations", n)
	}
	if want := len(stream.Text{}.Element(nil, el, len("<message"))) + 2; len(out) < want {
		t.Fatalf("%d bytes, want %d: %q", len(out), want, out)
	}
	mask := [4]byte{1, 2, 3, 4}
	raw, err := gobwas.CompileFrame(gobwas.MaskFrameWith(gobwas.NewTextFrame(el), mask))
	if err != nil {
		t.Fatal(err)
	}
	var d decoder
	buf := make([]byte, len(raw))
	got, head := 0, len(raw)-len(el)
	if n := testing.AllocsPerRun(500, func() {
		copy(buf, raw)
		d = decoder{message: true, frame: true, final: true, left: uint64(len(el)), mask: mask} // as its header says
		rest := append(buf[:0], buf[head:]...)
		if got, err = d.payload(rest, 0); err != nil || d.frame {
			t.Fatal(got, err)
		}
	}); n != 0 {
		t.Errorf("in: %v allocations", n)
	}
	if got != len(el) || string(buf[:got]) != string(el) {
		t.Errorf("%q", buf[:got])
	}
}
