package ws

import (
	"context"
	"encoding/binary"

	gobwas "github.com/gobwas/ws"

	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// decoder takes messages out of a client's frames. It keeps the part of a
// message that has come at the front of the connection's buffer, unmasked and
// without frame headers: nothing is allocated for a length that was only
// declared (HARDENING X14).
type decoder struct {
	got     int    // bytes of the message at the front of the buffer
	message bool   // one is under way
	frame   bool   // so is one of its frames
	final   bool   // that frame is its last
	left    uint64 // of that frame, still to come
	mask    [4]byte
	pos     int // in the mask
}

// Feed meets c2s.Decoder.
func (d *decoder) Feed(ctx context.Context, st *c2s.Stream, buf []byte) ([]byte, error) {
	for {
		in := d.got
		var n int
		var err error
		if d.frame {
			n, err = d.payload(buf, in)
		} else {
			n, err = d.header(st, buf[in:])
		}
		if err != nil {
			return nil, err
		}
		done := d.message && !d.frame && d.final
		if n == 0 && !done {
			return buf, st.Flush(ctx)
		}
		// What was used is taken out from behind the message.
		buf = append(buf[:d.got], buf[in+n:]...)
		if done {
			d.message = false
			err := st.Message(ctx, buf[:d.got])
			buf = append(buf[:0], buf[d.got:]...)
			d.got = 0
			if err != nil {
				return nil, err
			}
		}
	}
}

// payload moves what has come of the frame to the message; it has used n bytes.
func (d *decoder) payload(buf []byte, in int) (n int, err error) {
	n = int(min(d.left, uint64(len(buf)-in)))
	part := buf[in : in+n]
	gobwas.Cipher(part, d.mask, d.pos)
	d.pos = (d.pos + n) % 4
	d.left -= uint64(n)
	d.frame = d.left > 0
	d.got += n // it stands where it belongs: behind the message so far
	return n, nil
}

// header takes a frame's header, and a control frame whole. It uses nothing if
// more is needed.
func (d *decoder) header(st *c2s.Stream, b []byte) (n int, err error) {
	if len(b) < 2 {
		return 0, nil
	}
	op := gobwas.OpCode(b[0] & 0x0f)
	final, masked, length := b[0]&0x80 != 0, b[1]&0x80 != 0, uint64(b[1]&0x7f)
	switch {
	case b[0]&0x70 != 0:
		return 0, fail(st, gobwas.StatusProtocolError) // RFC 6455 §5.2: no extension is negotiated
	case !masked:
		return 0, fail(st, gobwas.StatusProtocolError) // RFC 6455 §5.1
	case op.IsControl() && (length > 125 || !final):
		return 0, fail(st, gobwas.StatusProtocolError) // RFC 6455 §5.5
	}
	n = 2
	switch {
	case length == 126 && len(b) < 4, length == 127 && len(b) < 10:
		return 0, nil
	case length == 126:
		length, n = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case length == 127:
		length, n = binary.BigEndian.Uint64(b[2:]), 10
	}
	if len(b) < n+4 {
		return 0, nil
	}
	mask := [4]byte(b[n : n+4])
	n += 4
	if op.IsControl() {
		return d.control(st, op, b, n, int(length), mask)
	}
	if err := d.begin(st, op, length); err != nil {
		return 0, err
	}
	d.message, d.frame, d.final = true, length > 0, final
	d.left, d.mask, d.pos = length, mask, 0
	return n, nil
}

// begin checks a data frame.
func (d *decoder) begin(st *c2s.Stream, op gobwas.OpCode, length uint64) error {
	switch {
	case op == gobwas.OpBinary:
		return fail(st, gobwas.StatusUnsupportedData) // RFC 7395 §3.2: text alone
	case op == gobwas.OpText && d.message, op == gobwas.OpContinuation && !d.message,
		op != gobwas.OpText && op != gobwas.OpContinuation:
		return fail(st, gobwas.StatusProtocolError) // RFC 6455 §5.4
	}
	if most := st.MessageLimit(); length > uint64(most) || uint64(d.got)+length > uint64(most) {
		return stream.Failf("policy-violation", "A message may have %d bytes here (XEP-0478).", most)
	}
	return nil
}

// control answers a control frame (RFC 6455 §5.5); head bytes of b are its header.
func (d *decoder) control(st *c2s.Stream, op gobwas.OpCode, b []byte, head, length int, mask [4]byte) (int, error) {
	n := head + length
	if len(b) < n {
		return 0, nil
	}
	p := b[head:n]
	gobwas.Cipher(p, mask, 0)
	switch op {
	case gobwas.OpPing:
		return n, st.Control(appendControl(nil, gobwas.OpPong, p))
	case gobwas.OpPong:
		return n, nil
	case gobwas.OpClose:
		code := gobwas.StatusNormalClosure
		if len(p) >= 2 {
			code = gobwas.StatusCode(binary.BigEndian.Uint16(p))
		}
		if len(p) == 1 || len(p) >= 2 && (code.IsNotUsed() || code.IsProtocolReserved()) {
			return 0, fail(st, gobwas.StatusProtocolError) // RFC 6455 §7.4.1
		}
		// A page that is left or loaded anew ends like this: the session may be resumed.
		_ = st.Control(appendClose(nil, code))
		return 0, c2s.ErrGone
	}
	return 0, fail(st, gobwas.StatusProtocolError)
}

// fail ends the WebSocket (RFC 6455 §7.1.7).
func fail(st *c2s.Stream, code gobwas.StatusCode) error {
	_ = st.Control(appendClose(nil, code))
	return c2s.ErrGone
}
