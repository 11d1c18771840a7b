package ws

import (
	"encoding/binary"

	gobwas "github.com/gobwas/ws"

	"github.com/parlance-im/parlance/xmpp/stream"
)

// framing puts each element of RFC 7395 into one text frame.
type framing struct{ text stream.Text }

func (framing) Framed() bool { return true }

func (f framing) Open(dst []byte, h *stream.Header) []byte {
	return seal(f.text.Open(dst, h), len(dst))
}

// Close ends the stream (RFC 7395 §3.6) and the WebSocket with it.
func (f framing) Close(dst []byte) []byte {
	dst = seal(f.text.Close(dst), len(dst))
	return appendClose(dst, gobwas.StatusNormalClosure)
}

func (f framing) Element(dst, el []byte, nameEnd int) []byte {
	return seal(f.text.Element(dst, el, nameEnd), len(dst))
}

// seal makes one unmasked, final text frame of what stands in b from start on
// (RFC 6455 §5.2).
func seal(b []byte, start int) []byte {
	n := len(b) - start
	var head [10]byte
	head[0] = 0x80 | byte(gobwas.OpText)
	size := 2
	switch {
	case n < 126:
		head[1] = byte(n)
	case n < 1<<16:
		head[1], size = 126, 4
		binary.BigEndian.PutUint16(head[2:], uint16(n))
	default:
		head[1], size = 127, 10
		binary.BigEndian.PutUint64(head[2:], uint64(n))
	}
	b = append(b, head[:size]...)
	copy(b[start+size:], b[start:start+n])
	copy(b[start:], head[:size])
	return b
}

// appendControl writes a control frame (RFC 6455 §5.5); p has at most 125 bytes.
func appendControl(dst []byte, op gobwas.OpCode, p []byte) []byte {
	dst = append(dst, 0x80|byte(op), byte(len(p)))
	return append(dst, p...)
}

func appendClose(dst []byte, code gobwas.StatusCode) []byte {
	return appendControl(dst, gobwas.OpClose, binary.BigEndian.AppendUint16(nil, uint16(code)))
}
