package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
)

const smSpace = "urn:xmpp:sm:3"

// patience is how long a client waits for one answer.
const patience = 2 * time.Minute

// Client is one session of a load test: small, so that thousands fit beside the
// server.
type Client struct {
	Index int    // number of the person
	JID   string // full, as bound
	conn  net.Conn
	in    *inbox
	sm    bool // stream management is on

	mu     sync.Mutex        // writes, and the fields below
	sent   uint32            // stanzas sent since stream management began
	ids    int               // number of IQs asked
	wait   map[string]answer // IQs under way
	marks  []mark            // acknowledgements asked for, whose time is measured
	onAck  func(due time.Time)
	got    uint32 // stanzas received since stream management began; owner: reader
	acked  atomic.Uint32
	in_    atomic.Pointer[func(c *Client, raw *elem.Raw)]
	closed chan struct{}
	err    error // why the reader ended; read after closed
}

type answer chan *elem.Element

// mark says: acknowledged up to count means that what was due then is acknowledged.
type mark struct {
	count uint32
	due   time.Time
}

// handle sets who is called for each message and presence that comes in; the
// reader calls it, and the element is valid only during the call.
func (c *Client) handle(f func(c *Client, raw *elem.Raw)) { c.in_.Store(&f) }

// Send writes n stanzas as they are; with ask, it asks for an acknowledgement.
func (c *Client) Send(s []byte, n int, ask bool, due time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent += uint32(n)
	if ask && c.sm {
		s = append(s, "<r xmlns='"+smSpace+"'/>"...)
		if c.onAck != nil && !due.IsZero() {
			c.marks = append(c.marks, mark{c.sent, due})
		}
	}
	_, err := c.conn.Write(s)
	return err
}

// say is Send for what is not measured.
func (c *Client) say(s string, n int) error { return c.Send([]byte(s), n, false, time.Time{}) }

func (c *Client) write(s string) error { return c.say(s, 0) }

// Settle waits until the server has taken all that was sent: by its
// acknowledgement, or without stream management by a ping behind it.
func (c *Client) Settle(ctx context.Context) error {
	if !c.sm {
		_, err := c.Ask(ctx, "get", "", "<ping xmlns='urn:xmpp:ping'/>")
		return err
	}
	c.mu.Lock()
	want := c.sent
	c.mu.Unlock()
	if err := c.Send(nil, 0, true, time.Time{}); err != nil {
		return err
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); int32(c.acked.Load()-want) < 0; {
		select {
		case now := <-tick.C:
			if now.After(end) {
				return fmt.Errorf("bench: %s: no acknowledgement within %s", c.JID, patience)
			}
		case <-c.closed:
			return c.lost()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Ask sends an IQ and waits for its answer, which may be an error.
func (c *Client) Ask(ctx context.Context, kind, to, payload string) (*elem.Element, error) {
	ch := make(answer, 1)
	c.mu.Lock()
	c.ids++
	id := "q" + strconv.Itoa(c.ids)
	if c.wait == nil {
		c.wait = map[string]answer{}
	}
	c.wait[id] = ch
	c.mu.Unlock()
	if to != "" {
		to = " to='" + to + "'"
	}
	if err := c.say("<iq type='"+kind+"' id='"+id+"'"+to+">"+payload+"</iq>", 1); err != nil {
		return nil, err
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case e := <-ch:
		return e, nil
	case <-c.closed:
		return nil, c.lost()
	case <-t.C:
		return nil, fmt.Errorf("bench: %s: no answer to %s within %s", c.JID, payload, patience)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lost says why the connection ended.
func (c *Client) lost() error {
	if c.err == nil {
		return fmt.Errorf("bench: %s: the server closed the stream", c.JID)
	}
	return fmt.Errorf("bench: %s: connection lost: %w", c.JID, c.err)
}

// ended says whether the connection has gone.
func (c *Client) ended() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// Close ends the stream and the connection, and waits for the reader.
func (c *Client) Close() {
	_ = c.conn.SetWriteDeadline(time.Now().Add(5 * time.Second)) // the server may be gone already
	_ = c.write("</stream:stream>")
	_ = c.conn.Close()
	<-c.closed
}

// read handles what comes in until the connection ends.
func (c *Client) read() {
	defer close(c.closed)
	for {
		raw, err := c.in.next()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				c.err = err
			}
			return
		}
		switch string(raw.Local) {
		case "r": // XEP-0198 §4
			_ = c.write("<a xmlns='" + smSpace + "' h='" + strconv.FormatUint(uint64(c.got), 10) + "'/>") // a dead connection shows when reading
		case "a":
			c.acknowledged(raw)
		case "error": // RFC 6120 §4.9
			c.err = fmt.Errorf("stream error: %s", raw.Buf)
			return
		case "iq":
			c.got++
			c.query(raw)
		default:
			c.got++
			if f := c.in_.Load(); f != nil {
				(*f)(c, raw)
			}
		}
	}
}

func (c *Client) acknowledged(raw *elem.Raw) {
	h64, err := strconv.ParseUint(attr(raw, "h"), 10, 32)
	if err != nil {
		return
	}
	h := uint32(h64)
	c.acked.Store(h)
	if c.onAck == nil {
		return
	}
	c.mu.Lock()
	n := 0
	for n < len(c.marks) && int32(h-c.marks[n].count) >= 0 {
		n++
	}
	done := append([]mark(nil), c.marks[:n]...)
	c.marks = append(c.marks[:0], c.marks[n:]...)
	c.mu.Unlock()
	for _, m := range done {
		c.onAck(m.due)
	}
}

// query takes an answer to whoever asked; what the server asks (a ping, a
// roster push) gets an empty result (RFC 6120 §8.2.3, RFC 6121 §2.1.6).
func (c *Client) query(raw *elem.Raw) {
	id, kind := attr(raw, "id"), attr(raw, "type")
	if kind == "get" || kind == "set" {
		to := ""
		if from := attr(raw, "from"); from != "" {
			to = " to='" + string(elem.AppendValue(nil, from)) + "'"
		}
		_ = c.say("<iq type='result' id='"+string(elem.AppendValue(nil, id))+"'"+to+"/>", 1) // a dead connection shows when reading
		return
	}
	c.mu.Lock()
	ch := c.wait[id]
	delete(c.wait, id)
	c.mu.Unlock()
	if ch == nil {
		return
	}
	e, err := raw.Element()
	if err != nil {
		e = elem.New("", "iq", "type", "error")
	}
	ch <- e
}

// attr is an attribute of a scanned element, "" if absent.
func attr(raw *elem.Raw, name string) string { return string(attrBytes(raw, name)) }

func attrBytes(raw *elem.Raw, name string) []byte {
	for i := range raw.Attrs {
		if string(raw.Attrs[i].Local) == name {
			return raw.Attrs[i].Value
		}
	}
	return nil
}

// child is the content of the first child of that name; nil if there is none.
func child(raw *elem.Raw, name string) []byte {
	for i := range raw.Kids {
		if string(raw.Kids[i].Local) == name {
			return raw.Buf[raw.Kids[i].Inner.Start:raw.Kids[i].Inner.End]
		}
	}
	return nil
}

// inbox cuts what a connection sends into elements. It keeps bytes only while
// an element is incomplete.
type inbox struct {
	conn net.Conn
	sc   *elem.Scanner
	tmp  []byte
	rest []byte // not consumed yet: a part of tmp, or its own if own
	own  bool
	used int
}

func newInbox(conn net.Conn, size int) *inbox {
	return &inbox{conn: conn, sc: elem.NewScanner(elem.Limits{}), tmp: make([]byte, size)}
}

// restart begins a new stream on the connection (RFC 6120 §4.3.3).
func (in *inbox) restart() {
	in.sc.Reset(elem.Limits{})
	in.rest, in.used = nil, 0
}

func (in *inbox) next() (*elem.Raw, error) {
	in.rest = in.rest[in.used:]
	in.used = 0
	for {
		ev, n, err := in.sc.Next(in.rest)
		if err != nil {
			return nil, err
		}
		switch ev {
		case elem.Stanza:
			in.used = n
			return in.sc.Raw(), nil
		case elem.Footer:
			return nil, net.ErrClosed
		case elem.NeedMore:
			if err := in.more(); err != nil {
				return nil, err
			}
		default:
			in.rest = in.rest[n:]
		}
	}
}

func (in *inbox) more() error {
	if len(in.rest) > 0 && !in.own { // tmp is read into next
		in.rest = append(make([]byte, 0, 2*len(in.tmp)), in.rest...)
		in.own = true
	}
	n, err := in.conn.Read(in.tmp)
	if err != nil {
		return err
	}
	if len(in.rest) == 0 {
		in.rest, in.own = in.tmp[:n], false
	} else {
		in.rest = append(in.rest, in.tmp[:n]...)
	}
	return nil
}

// expect reads up to one of the elements named; a failure or an error ends the wait.
func (in *inbox) expect(locals ...string) (*elem.Element, error) {
	for {
		raw, err := in.next()
		if err != nil {
			return nil, err
		}
		name := string(raw.Local)
		for _, l := range locals {
			if name == l {
				return raw.Element()
			}
		}
		switch name {
		case "failure", "error", "failed":
			return nil, fmt.Errorf("the server says %s", raw.Buf)
		}
	}
}
