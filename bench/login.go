package bench

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// Dial is what clients have in common.
type Dial struct {
	Addr, Domain, Password string
	TLS                    string
	Mechanism              string
	Read                   int // bytes of a client's read buffer
	keys                   keyCache
	tokens                 *tokens // log in with them; nil: with the password
	n                      atomic.Int64
	in, out                atomic.Int64 // bytes, inside TLS and outside alike
}

// sources spreads connections over 127.1.0.0/16: one address has too few ports,
// and servers count connections per address.
const sources = 250

// Open logs a user in, binds, and enables stream management where it is offered.
func (d *Dial) Open(ctx context.Context, user, resource string) (*Client, error) {
	dialer := net.Dialer{Timeout: 30 * time.Second}
	if strings.HasPrefix(d.Addr, "127.") {
		n := d.n.Add(1) % sources
		dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1, 0, byte(n))}
	}
	raw, err := dialer.DialContext(ctx, "tcp", d.Addr)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: &counted{raw, d}, closed: make(chan struct{})}
	if err = raw.SetDeadline(time.Now().Add(60 * time.Second)); err == nil {
		err = c.login(ctx, d, user, resource)
	}
	if err == nil {
		err = raw.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("bench: log in %s: %w", user, err)
	}
	go c.read()
	return c, nil
}

// counted counts the bytes on the wire.
type counted struct {
	net.Conn
	d *Dial
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.d.in.Add(int64(n))
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.d.out.Add(int64(n))
	return n, err
}

// login is told as what is sent and which element answers it.
func (c *Client) login(ctx context.Context, d *Dial, user, resource string) error {
	if d.TLS == TLSDirect {
		if err := c.secure(ctx, d, "xmpp-client"); err != nil { // XEP-0368 §3: ALPN
			return err
		}
	}
	c.in = newInbox(c.conn, d.Read)
	features, err := c.stream(d)
	if err != nil {
		return err
	}
	if d.TLS == TLSStartTLS {
		if features, err = c.startTLS(ctx, d); err != nil {
			return err
		}
	}
	if d.tokens != nil {
		features, err = c.fast(d, features, user)
	} else if err = c.authenticate(d, features, user); err == nil {
		features, err = c.stream(d)
	}
	if err != nil {
		return err
	}
	return c.bind(features, resource)
}

// stream opens a stream and reads the features (RFC 6120 §4.3.2).
func (c *Client) stream(d *Dial) (*elem.Element, error) {
	c.in.restart()
	if err := c.write("<?xml version='1.0'?><stream:stream to='" + d.Domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"); err != nil {
		return nil, err
	}
	return c.in.expect("features")
}

// startTLS upgrades the connection (RFC 6120 §5.4).
func (c *Client) startTLS(ctx context.Context, d *Dial) (*elem.Element, error) {
	if err := c.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); err != nil {
		return nil, err
	}
	if _, err := c.in.expect("proceed"); err != nil {
		return nil, err
	}
	if err := c.secure(ctx, d); err != nil {
		return nil, err
	}
	c.in = newInbox(c.conn, d.Read)
	return c.stream(d)
}

func (c *Client) secure(ctx context.Context, d *Dial, alpn ...string) error {
	// The certificate is self-made and not what is measured here.
	t := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true, ServerName: d.Domain, NextProtos: alpn})
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	c.conn = t
	return nil
}

// errNotOffered: the server does not do what was asked of it.
var errNotOffered = errors.New("not offered by the server")

// NotOffered says whether a run failed because the server does not do what it measures.
func NotOffered(err error) bool { return errors.Is(err, errNotOffered) || errors.Is(err, errNoRooms) }

// authenticate runs SASL (RFC 6120 §6.4).
func (c *Client) authenticate(d *Dial, features *elem.Element, user string) error {
	var offered []string
	for _, k := range features.Children {
		if k.Local != "mechanisms" {
			continue
		}
		for _, m := range k.Children {
			offered = append(offered, strings.TrimSpace(m.Text))
		}
	}
	mech := d.Mechanism
	if mech == "" {
		mech = "PLAIN"
		for _, m := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256"} {
			if !slices.Contains(offered, mech) && slices.Contains(offered, m) {
				mech = m
			}
		}
	}
	if !slices.Contains(offered, mech) {
		return fmt.Errorf("mechanism %s: %w (it offers %s)", mech, errNotOffered, strings.Join(offered, " "))
	}
	b64 := base64.StdEncoding.EncodeToString
	if mech == "PLAIN" {
		if err := c.write("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + b64([]byte("\x00"+user+"\x00"+d.Password)) + "</auth>"); err != nil {
			return err
		}
		_, err := c.in.expect("success")
		return err
	}
	s := newScram(mech, d.Password, &d.keys)
	if err := c.write("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mech + "'>" + b64([]byte(s.first(user))) + "</auth>"); err != nil {
		return err
	}
	challenge, err := c.message("challenge")
	if err != nil {
		return err
	}
	final, err := s.final(challenge)
	if err != nil {
		return err
	}
	if err := c.write("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + b64([]byte(final)) + "</response>"); err != nil {
		return err
	}
	last, err := c.message("success")
	if err != nil {
		return err
	}
	return s.verify(last)
}

// message is the decoded text of a SASL element.
func (c *Client) message(local string) (string, error) {
	e, err := c.in.expect(local)
	if err != nil {
		return "", err
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(e.Text))
	return string(b), err
}

// bind takes a resource (RFC 6120 §7) and enables stream management (XEP-0198 §3).
func (c *Client) bind(features *elem.Element, resource string) error {
	if err := c.write("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>"); err != nil {
		return err
	}
	e, err := c.in.expect("iq")
	if err != nil {
		return err
	}
	b := e.Child("urn:ietf:params:xml:ns:xmpp-bind", "bind")
	if b == nil || e.Attr("type") != "result" {
		return fmt.Errorf("bind: the server says %s", e)
	}
	c.JID = b.ChildText("jid")
	if features.Child(smSpace, "sm") == nil {
		return nil
	}
	if err := c.write("<enable xmlns='" + smSpace + "' resume='true'/>"); err != nil {
		return err
	}
	if _, err = c.in.expect("enabled"); err != nil {
		return err
	}
	c.sm = true
	c.mu.Lock()
	c.sent = 0
	c.mu.Unlock()
	return nil
}
