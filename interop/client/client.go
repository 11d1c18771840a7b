package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// Options say how to log in.
type Options struct {
	Addr, Domain         string
	User, Pass, Resource string
	Source               string // local address, for many clients
	Mechanism            string // empty: strongest SCRAM offered
	DirectTLS            bool   // Addr speaks TLS at once (XEP-0368)
	NoTLS                bool   // stay in plain text
	Lang                 string // of the streams; empty: "en", "-": they name none
	SM                   bool   // enable XEP-0198 with resume
	Resume               *Resume
	// Tap sees every stanza before it reaches the inbox; true swallows it.
	Tap func(*Node) bool
}

// Resume is what is needed to take a cut session up again (XEP-0198 §5).
type Resume struct {
	ID string
	H  uint32 // inbound stanzas handled so far
}

// Client is a bound session with an inbox.
type Client struct {
	JID     string // full JID
	Opt     Options
	SMID    string // resumption id, "" if not offered
	Resumed *Node  // the <resumed/> that answered Options.Resume, else nil
	conn    *Conn

	wmu sync.Mutex // orders writes

	mu     sync.Mutex
	inbox  []*Node
	h      uint32 // inbound stanzas (XEP-0198 §4)
	sent   uint32 // outbound stanzas since enabled
	acked  uint32 // the server's last h
	err    error  // why reading ended
	change chan struct{}
	done   chan struct{}
}

// Login connects, secures, authenticates, binds or resumes, and starts reading.
func Login(ctx context.Context, o Options) (*Client, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
	}
	conn, err := Authenticated(ctx, o)
	if err != nil {
		return nil, err
	}
	c := &Client{Opt: o, conn: conn, change: make(chan struct{}), done: make(chan struct{})}
	if err := c.start(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	conn.Unlimited()
	go c.read()
	return c, nil
}

// Authenticated goes as far as the features after login, before binding.
func Authenticated(ctx context.Context, o Options) (*Conn, error) {
	conn, err := Connect(ctx, o.Addr, o.Domain, o.Source)
	if err != nil {
		return nil, err
	}
	conn.Lang = o.Lang
	err = func() error {
		if o.DirectTLS {
			if err := conn.Secure(ctx, "xmpp-client"); err != nil {
				return err
			}
		}
		if err := conn.OpenStream(); err != nil {
			return err
		}
		if !o.DirectTLS && !o.NoTLS {
			if err := conn.StartTLS(ctx); err != nil {
				return err
			}
		}
		return conn.Auth(o.Mechanism, o.User, o.Pass)
	}()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

const smSpace = "urn:xmpp:sm:3"

func (c *Client) start() (err error) {
	if r := c.Opt.Resume; r != nil {
		if err := c.conn.Send("<resume xmlns='" + smSpace + "' previd='" + Escape(r.ID) + "' h='" + strconv.Itoa(int(r.H)) + "'/>"); err != nil {
			return err
		}
		n, err := c.conn.Next()
		if err != nil {
			return err
		}
		if n.Name.Local == "resumed" {
			c.Resumed, c.h, c.SMID = n, r.H, r.ID
			h, _ := strconv.ParseUint(n.Get("h"), 10, 32)
			c.acked, c.sent = uint32(h), uint32(h)
			return nil
		}
		if n.Name.Local != "failed" {
			return fmt.Errorf("client: resume answered by %s", n)
		}
		return &ResumeFailed{n}
	}
	if c.JID, err = c.conn.Bind(c.Opt.Resource); err != nil {
		return err
	}
	if !c.Opt.SM {
		return nil
	}
	if err := c.conn.Send("<enable xmlns='" + smSpace + "' resume='true'/>"); err != nil {
		return err
	}
	for {
		n, err := c.conn.Next()
		if err != nil {
			return err
		}
		if n.Name.Space == smSpace {
			if n.Name.Local != "enabled" {
				return fmt.Errorf("client: enable answered by %s", n)
			}
			c.SMID = n.Get("id")
			return nil
		}
		c.inbox = append(c.inbox, n) // stanzas before <enabled/> are not counted
	}
}

// ResumeFailed is a refused resumption (XEP-0198 §5).
type ResumeFailed struct{ Node *Node }

func (e *ResumeFailed) Error() string { return "client: not resumed: " + e.Node.String() }

func (c *Client) read() {
	defer close(c.done)
	for {
		n, err := c.conn.Next()
		if err != nil {
			c.mu.Lock()
			c.err = err
			c.wake()
			c.mu.Unlock()
			return
		}
		c.take(n)
	}
}

func (c *Client) take(n *Node) {
	if n.Name.Space == smSpace {
		switch n.Name.Local {
		case "r":
			c.Ack()
		case "a":
			h, _ := strconv.ParseUint(n.Get("h"), 10, 32)
			c.mu.Lock()
			c.acked = uint32(h)
			c.wake()
			c.mu.Unlock()
		}
		return
	}
	swallowed := c.Opt.Tap != nil && c.Opt.Tap(n)
	c.mu.Lock()
	if n.Name.Local == "message" || n.Name.Local == "presence" || n.Name.Local == "iq" {
		c.h++
	}
	if n.Name.Local == "error" {
		c.err = &StreamError{n}
	}
	if !swallowed {
		c.inbox = append(c.inbox, n)
	}
	c.wake()
	c.mu.Unlock()
}

// wake tells waiters that something changed; mu is held.
func (c *Client) wake() { close(c.change); c.change = make(chan struct{}) }

// Ack reports what has been received (XEP-0198 §4).
func (c *Client) Ack() {
	c.mu.Lock()
	h := c.h
	c.mu.Unlock()
	_ = c.write("<a xmlns='" + smSpace + "' h='" + strconv.FormatUint(uint64(h), 10) + "'/>")
}

func (c *Client) write(s string) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
	return c.conn.Send(s)
}

// Send writes one stanza and counts it (XEP-0198 §4).
func (c *Client) Send(s string) error {
	c.mu.Lock()
	c.sent++
	c.mu.Unlock()
	return c.write(s)
}

// Raw writes bytes that are no counted stanza.
func (c *Client) Raw(s string) error { return c.write(s) }

// Counters returns stanzas received, sent, and acknowledged by the server.
func (c *Client) Counters() (h, sent, acked uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.h, c.sent, c.acked
}

// Await waits until cond holds on the inbox, and says whether it did in time.
// cond runs under the client's lock and may return a changed inbox.
func (c *Client) Await(within time.Duration, cond func(inbox []*Node) ([]*Node, bool)) error {
	t := time.NewTimer(within)
	defer t.Stop()
	for {
		c.mu.Lock()
		box, ok := cond(c.inbox)
		c.inbox = box
		err, ch := c.err, c.change
		c.mu.Unlock()
		if ok {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ch:
		case <-t.C:
			return ErrTimeout
		}
	}
}

// ErrTimeout says that what was waited for did not come.
var ErrTimeout = errors.New("client: nothing came in time")

// Next takes the first stanza of the inbox.
func (c *Client) Next(within time.Duration) (n *Node, err error) {
	err = c.Await(within, func(in []*Node) ([]*Node, bool) {
		if len(in) == 0 {
			return in, false
		}
		n = in[0]
		return in[1:], true
	})
	return n, err
}

// Take removes and returns the first stanza that match accepts.
func (c *Client) Take(within time.Duration, match func(*Node) bool) (n *Node, err error) {
	err = c.Await(within, func(in []*Node) ([]*Node, bool) {
		for i, m := range in {
			if match(m) {
				n = m
				return append(in[:i:i], in[i+1:]...), true
			}
		}
		return in, false
	})
	return n, err
}

// Drain takes everything in the inbox.
func (c *Client) Drain() (all []*Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, c.inbox = c.inbox, nil
	return all
}

// IQ sends a request and takes its answer, result or error. The request is
// given without its id.
func (c *Client) IQ(within time.Duration, typ, to, payload string) (*Node, error) {
	id := Token()
	at := ""
	if to != "" {
		at = " to='" + Escape(to) + "'"
	}
	if err := c.Send("<iq type='" + typ + "' id='" + id + "'" + at + ">" + payload + "</iq>"); err != nil {
		return nil, err
	}
	return c.Take(within, func(n *Node) bool {
		return n.Name.Local == "iq" && n.Get("id") == id && (n.Get("type") == "result" || n.Get("type") == "error")
	})
}

// Fence returns once the server has handled everything this client sent
// (RFC 6120 §10.1: stanzas of one stream are handled in order) and everything
// it had queued for this client before the answer has arrived.
func (c *Client) Fence(within time.Duration) error {
	_, err := c.IQ(within, "get", c.Opt.Domain, "<ping xmlns='urn:xmpp:ping'/>")
	return err
}

// WaitAcked asks for an ack and waits until n sent stanzas are covered.
func (c *Client) WaitAcked(within time.Duration, n uint32) error {
	if err := c.Raw("<r xmlns='" + smSpace + "'/>"); err != nil {
		return err
	}
	return c.Await(within, func(in []*Node) ([]*Node, bool) { return in, int32(c.acked-n) >= 0 })
}

// Cut drops the connection without a word, as a lost network does.
func (c *Client) Cut() {
	conn := c.conn.Conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = conn.Close()
	<-c.done
}

// Close ends the stream politely and waits for the reader.
func (c *Client) Close() {
	_ = c.write("</stream:stream>")
	select {
	case <-c.done:
	case <-time.After(2 * time.Second):
	}
	_ = c.conn.Close()
	<-c.done
}

// Closed waits until the server has ended the connection and returns why:
// nil for a plain end, else the stream error.
func (c *Client) Closed(within time.Duration) error {
	select {
	case <-c.done:
	case <-time.After(within):
		return ErrTimeout
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var se *StreamError
	for _, n := range c.inbox {
		if n.Name.Local == "error" {
			return &StreamError{n}
		}
	}
	if errors.As(c.err, &se) {
		return se
	}
	if c.err == nil || errors.Is(c.err, io.EOF) {
		return nil
	}
	return c.err
}
