package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// Client is one session of a load test: small, so that thousands fit beside the
// server.
type Client struct {
	User   string
	conn   *tls.Conn
	mu     sync.Mutex // writes
	got    uint32     // stanzas received since stream management began; owner: reader
	acked  atomic.Uint32
	sent   uint32 // stanzas sent since then; owner: mu
	onIn   func(c *Client, raw *elem.Raw)
	closed chan struct{}
	err    error // why the reader ended; read after closed
}

// Dial is what clients have in common.
type Dial struct {
	Addr     string
	Domain   string
	Password string
	// Sources spreads connections over 127.0.0.0/8: one address has too few
	// ports, and servers count connections per address.
	Sources int
	n       atomic.Int64
	// In is called by the reader for each stanza.
	In func(c *Client, raw *elem.Raw)
}

const smSpace = "urn:xmpp:sm:3"

// Open logs a user in over direct TLS, binds, and enables stream management.
func (d *Dial) Open(ctx context.Context, user, resource string) (*Client, error) {
	dialer := net.Dialer{Timeout: 30 * time.Second}
	if d.Sources > 0 {
		n := d.n.Add(1)
		dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1, byte(n%int64(d.Sources)>>8), byte(n%int64(d.Sources)))}
	}
	raw, err := dialer.DialContext(ctx, "tcp", d.Addr)
	if err != nil {
		return nil, err
	}
	// The certificate is self-made and not what is measured here.
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: d.Domain, NextProtos: []string{"xmpp-client"}})
	c := &Client{User: user, conn: conn, onIn: d.In, closed: make(chan struct{})}
	if err := conn.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		return nil, err
	}
	if err := c.login(d, resource); err != nil {
		raw.Close()
		return nil, fmt.Errorf("bench: %s: %w", user, err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	go c.read()
	return c, nil
}

// steps is a login, told as what is sent and which element answers it.
func (c *Client) login(d *Dial, resource string) error {
	header := "<?xml version='1.0'?><stream:stream to='" + d.Domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	sc := elem.NewScanner(elem.Limits{})
	in := &inbox{conn: c.conn, sc: sc}
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + c.User + "\x00" + d.Password))
	if err := c.write(header); err != nil {
		return err
	}
	if err := in.expect("features"); err != nil {
		return err
	}
	if err := c.write("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + plain + "</auth>"); err != nil {
		return err
	}
	if err := in.expect("success"); err != nil {
		return err
	}
	sc.Reset(elem.Limits{})
	in.buf, in.used = nil, 0
	if err := c.write(header); err != nil {
		return err
	}
	if err := in.expect("features"); err != nil {
		return err
	}
	if err := c.write("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>"); err != nil {
		return err
	}
	if err := in.expect("iq"); err != nil {
		return err
	}
	if err := c.write("<enable xmlns='" + smSpace + "' resume='true'/>"); err != nil {
		return err
	}
	return in.expect("enabled")
}

// Send writes n stanzas as they are; with ask, it asks for an acknowledgement.
func (c *Client) Send(s string, n int, ask bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent += uint32(n)
	if ask {
		s += "<r xmlns='" + smSpace + "'/>"
	}
	_, err := c.conn.Write([]byte(s))
	return err
}

// Settle waits until the server has acknowledged all that was sent.
func (c *Client) Settle(ctx context.Context) error {
	if err := c.Send("", 0, true); err != nil {
		return err
	}
	for {
		c.mu.Lock()
		done := c.acked.Load() == c.sent
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-c.closed:
			return fmt.Errorf("bench: %s: connection lost: %w", c.User, c.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Client) write(s string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.conn.Write([]byte(s))
	return err
}

// Acked is how many of the client's stanzas the server has acknowledged.
func (c *Client) Acked() uint32 { return c.acked.Load() }

// Close ends the connection and waits for the reader.
func (c *Client) Close() {
	_ = c.write("</stream:stream>") // the server may be gone already
	_ = c.conn.Close()
	<-c.closed
}

// read handles what comes in, on a small stack and a buffer of its own size.
func (c *Client) read() {
	defer close(c.closed)
	in := &inbox{conn: c.conn, sc: elem.NewScanner(elem.Limits{})}
	in.sc.SetFramed(true) // the stream's header has been read: stanzas stand alone
	for {
		raw, err := in.next()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				c.err = err
			}
			return
		}
		switch string(raw.Local) {
		case "r":
			_ = c.write(fmt.Sprintf("<a xmlns='%s' h='%d'/>", smSpace, c.got)) // a dead connection shows when reading
		case "a":
			for i := range raw.Attrs {
				if string(raw.Attrs[i].Local) == "h" {
					var h uint32
					fmt.Sscan(string(raw.Attrs[i].Value), &h)
					c.acked.Store(h)
				}
			}
		default:
			c.got++
			if c.onIn != nil {
				c.onIn(c, raw)
			}
		}
	}
}

// inbox cuts what a connection sends into elements. It holds a buffer only
// while something is incomplete.
type inbox struct {
	conn *tls.Conn
	sc   *elem.Scanner
	buf  []byte
	tmp  [512]byte
	used int
}

func (in *inbox) next() (*elem.Raw, error) {
	in.buf = in.buf[in.used:]
	in.used = 0
	for {
		ev, n, err := in.sc.Next(in.buf)
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
			n, err := in.conn.Read(in.tmp[:])
			if err != nil {
				return nil, err
			}
			in.buf = append(in.buf, in.tmp[:n]...)
		default:
			in.buf = in.buf[n:]
		}
	}
}

// expect reads up to an element of that name; a failure or an error ends the wait.
func (in *inbox) expect(local string) error {
	for {
		raw, err := in.next()
		if err != nil {
			return err
		}
		switch name := string(raw.Local); name {
		case local:
			return nil
		case "failure", "error", "failed":
			return fmt.Errorf("got %s", raw.Buf)
		}
	}
}
