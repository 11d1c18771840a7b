package client

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// Conn is a connection at stream level: one caller, blocking calls.
type Conn struct {
	net.Conn
	Domain   string
	Lang     string // of the streams, as in Options
	Header   *Node  // the server's last stream header
	Features *Node  // what it offered after it
	dec      *xml.Decoder
	tls      *tls.Conn
}

// Connect opens the TCP connection and does nothing else. A source address
// spreads many clients over 127.0.0.0/8; empty leaves the choice to the kernel.
func Connect(ctx context.Context, addr, domain, source string) (*Conn, error) {
	var d net.Dialer
	if source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("client: connect: %w", err)
	}
	k := &Conn{Conn: c, Domain: domain}
	if t, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(t)
	}
	k.dec = newDecoder(k.Conn)
	return k, nil
}

// Over makes one of a connection that is open already.
func Over(c net.Conn, domain string, patience time.Duration) *Conn {
	_ = c.SetDeadline(time.Now().Add(patience))
	return &Conn{Conn: c, Domain: domain, dec: newDecoder(c)}
}

func newDecoder(r io.Reader) *xml.Decoder {
	d := xml.NewDecoder(r)
	d.Strict = true
	return d
}

// TLSConfig is what clients here use: any certificate, ALPN of XEP-0368.
func TLSConfig(domain string, alpn ...string) *tls.Config {
	return &tls.Config{ServerName: domain, InsecureSkipVerify: true, NextProtos: alpn, MinVersion: tls.VersionTLS12}
}

// Secure starts TLS on the connection as it stands (XEP-0368 direct TLS, or
// after <proceed/>).
func (c *Conn) Secure(ctx context.Context, alpn ...string) error {
	t := tls.Client(c.Conn, TLSConfig(c.Domain, alpn...))
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("client: tls: %w", err)
	}
	c.Conn, c.tls = t, t
	c.dec = newDecoder(c.Conn)
	return nil
}

// Raw is the connection below TLS.
func (c *Conn) Raw() net.Conn {
	if c.tls != nil {
		return c.tls.NetConn()
	}
	return c.Conn
}

// Send writes the bytes as they are.
func (c *Conn) Send(s string) error {
	_, err := io.WriteString(c.Conn, s)
	return err
}

// OpenStream sends a header and reads the server's header and features.
func (c *Conn) OpenStream() error {
	lang := " xml:lang='en'"
	switch c.Lang {
	case "":
	case "-":
		lang = ""
	default:
		lang = " xml:lang='" + Escape(c.Lang) + "'"
	}
	if err := c.Send("<?xml version='1.0'?><stream:stream to='" + Escape(c.Domain) + "' version='1.0'" + lang + " xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"); err != nil {
		return err
	}
	return c.ReadHeader()
}

// ReadHeader reads the server's stream header and features; the decoder
// starts anew (RFC 6120 §4.3.3: a restarted stream is a new one).
func (c *Conn) ReadHeader() error {
	c.dec = newDecoder(c.Conn)
	st, err := nextStart(c.dec)
	if err != nil {
		return fmt.Errorf("client: stream header: %w", err)
	}
	if st.Name.Local != "stream" {
		return fmt.Errorf("client: <%s> where the stream header was due", st.Name.Local)
	}
	c.Header = newNode(st)
	n, err := c.Next()
	if err != nil {
		return fmt.Errorf("client: stream features: %w", err)
	}
	if n.Name.Local == "error" {
		return &StreamError{n}
	}
	if n.Name.Local != "features" {
		return fmt.Errorf("client: %s where features were due", n)
	}
	c.Features = n
	return nil
}

// Next returns the next top-level element. The end of the stream is io.EOF.
func (c *Conn) Next() (*Node, error) {
	st, err := nextStart(c.dec)
	if errors.Is(err, errStreamEnd) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	return readNode(c.dec, st)
}

// StreamError is a <stream:error/> from the server.
type StreamError struct{ Node *Node }

func (e *StreamError) Error() string { return "client: stream error: " + e.Node.Condition() }

// StartTLS asks for TLS (RFC 6120 §5.4) and reopens the stream.
func (c *Conn) StartTLS(ctx context.Context) error {
	if err := c.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); err != nil {
		return err
	}
	n, err := c.Next()
	if err != nil {
		return err
	}
	if n.Name.Local != "proceed" {
		return fmt.Errorf("client: starttls answered by %s", n)
	}
	if err := c.Secure(ctx); err != nil {
		return err
	}
	return c.OpenStream()
}

// Mechanisms lists what the features offer.
func (c *Conn) Mechanisms() []string {
	var out []string
	for _, m := range c.Features.Kid("", "mechanisms").kids() {
		if m.Name.Local == "mechanism" {
			out = append(out, m.Text)
		}
	}
	return out
}

func (n *Node) kids() []*Node {
	if n == nil {
		return nil
	}
	return n.Kids
}

// AuthError is a SASL failure (RFC 6120 §6.5).
type AuthError struct{ Node *Node }

// Condition is the failure's defined condition.
func (e *AuthError) Condition() string {
	for _, k := range e.Node.Kids {
		if k.Name.Local != "text" {
			return k.Name.Local
		}
	}
	return ""
}
func (e *AuthError) Error() string { return "client: login refused: " + e.Condition() }

// Auth logs in by the mechanism (empty: the strongest SCRAM offered) and
// reopens the stream.
func (c *Conn) Auth(mech, user, pass string) error {
	if mech == "" {
		offered := c.Mechanisms()
		for _, m := range []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"} {
			if slices.Contains(offered, m) {
				mech = m
				break
			}
		}
		if mech == "" {
			return fmt.Errorf("client: no usable mechanism in %q", offered)
		}
	}
	if err := c.exchange(mech, user, pass); err != nil {
		return err
	}
	return c.OpenStream()
}

func (c *Conn) exchange(mech, user, pass string) error {
	if mech == "PLAIN" {
		return c.plain("\x00" + user + "\x00" + pass)
	}
	gs2, bind := "n,,", []byte(nil)
	if len(mech) > 5 && mech[len(mech)-5:] == "-PLUS" {
		st := c.tls.ConnectionState()
		key, err := st.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil {
			return err
		}
		gs2, bind = "p=tls-exporter,,", key
	}
	s, err := newScram(mech, user, pass, gs2, bind)
	if err != nil {
		return err
	}
	ch, err := c.sasl("auth", mech, s.first())
	if err != nil {
		return err
	}
	if ch.Name.Local != "challenge" {
		return &AuthError{ch}
	}
	fin, err := s.final(unbase64(ch.Text))
	if err != nil {
		return err
	}
	res, err := c.sasl("response", "", fin)
	if err != nil {
		return err
	}
	if res.Name.Local == "challenge" { // RFC 6120 §6.4.6: final data may come as a challenge
		if err := s.verify(unbase64(res.Text)); err != nil {
			return err
		}
		if res, err = c.sasl("response", "", ""); err != nil {
			return err
		}
		if res.Name.Local != "success" {
			return &AuthError{res}
		}
		return nil
	}
	if res.Name.Local != "success" {
		return &AuthError{res}
	}
	return s.verify(unbase64(res.Text))
}

func (c *Conn) plain(msg string) error {
	n, err := c.sasl("auth", "PLAIN", msg)
	if err != nil {
		return err
	}
	if n.Name.Local != "success" {
		return &AuthError{n}
	}
	return nil
}

// SASL sends one SASL element and returns the answer.
func (c *Conn) SASL(kind, mech, data string) (*Node, error) { return c.sasl(kind, mech, data) }

func (c *Conn) sasl(kind, mech, data string) (*Node, error) {
	at := ""
	if mech != "" {
		at = " mechanism='" + Escape(mech) + "'"
	}
	if err := c.Send("<" + kind + " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'" + at + ">" + base64.StdEncoding.EncodeToString([]byte(data)) + "</" + kind + ">"); err != nil {
		return nil, err
	}
	return c.Next()
}

func unbase64(s string) string {
	b, _ := base64.StdEncoding.DecodeString(s)
	return string(b)
}

// Bind binds a resource (RFC 6120 §7.6) and returns the full JID given.
func (c *Conn) Bind(resource string) (string, error) {
	r := ""
	if resource != "" {
		r = "<resource>" + Escape(resource) + "</resource>"
	}
	if err := c.Send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>" + r + "</bind></iq>"); err != nil {
		return "", err
	}
	n, err := c.Next()
	if err != nil {
		return "", err
	}
	j := n.Path("bind", "jid")
	if n.Get("type") != "result" || j == nil {
		return "", fmt.Errorf("client: bind answered by %s", n)
	}
	return j.Text, nil
}

// Unlimited removes the deadline Connect took from its context.
func (c *Conn) Unlimited() { _ = c.Conn.SetDeadline(time.Time{}) }
