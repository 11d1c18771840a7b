package bench

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/parlance-im/parlance/xmpp/elem"
)

const (
	sasl2Space = "urn:xmpp:sasl:2"
	fastSpace  = "urn:xmpp:fast:0"
)

// tokens are everybody's, by user name.
type tokens struct {
	mu sync.Mutex
	of map[string]*token
}

// token is one person's; whoever logs in holds it, since a login may change it.
type token struct {
	mu     sync.Mutex
	secret string // empty: none yet
	agent  string // the device's id (XEP-0388 §2.3)
}

func (t *tokens) get(user string) *token {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[user] == nil {
		r := make([]byte, 16)
		_, _ = rand.Read(r) // it never fails
		t.of[user] = &token{agent: uuid(r)}
	}
	return t.of[user]
}

// uuid is one of version 4 made of 16 random bytes.
func uuid(r []byte) string {
	r[6], r[8] = r[6]&0x0f|0x40, r[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", r[:4], r[4:6], r[6:8], r[8:10], r[10:])
}

// fast logs in with a token (XEP-0484 §3.4), or with the password and asks for
// one (§3.2). There is no new stream behind it (XEP-0388 §2.6).
func (c *Client) fast(d *Dial, features *elem.Element, user string) (*elem.Element, error) {
	mech, passwords, err := fastOffered(features)
	if err != nil {
		return nil, err
	}
	t := d.tokens.get(user)
	t.mu.Lock()
	defer t.mu.Unlock()
	agent := "<user-agent id='" + t.agent + "'><software>bench</software></user-agent>"
	if t.secret == "" {
		err = c.sasl2(d, passwords, user, agent+"<request-token xmlns='"+fastSpace+"' mechanism='"+mech+"'/>", t)
	} else {
		err = c.withToken(mech, user, agent, t)
	}
	if err != nil {
		return nil, err
	}
	return c.in.expect("features")
}

// fastOffered finds what the server offers of it: the token's mechanism, and
// those for passwords.
func fastOffered(features *elem.Element) (mech string, passwords []string, err error) {
	auth := features.Child(sasl2Space, "authentication")
	if auth == nil {
		return "", nil, fmt.Errorf("FAST (XEP-0484 §3.1): %w", errNotOffered)
	}
	var hashed []string
	for _, k := range auth.Children {
		if k.Local == "mechanism" {
			passwords = append(passwords, strings.TrimSpace(k.Text))
		}
		if f := k.Child(fastSpace, "fast"); k.Local == "inline" && f != nil {
			for _, m := range f.Children {
				hashed = append(hashed, strings.TrimSpace(m.Text))
			}
		}
	}
	for _, m := range []string{"HT-SHA-256-EXPR", "HT-SHA-256-NONE"} {
		if slices.Contains(hashed, m) {
			return m, passwords, nil
		}
	}
	return "", nil, fmt.Errorf("FAST (XEP-0484 §3.1): %w (tokens: %s)", errNotOffered, strings.Join(hashed, " "))
}

// sasl2 logs in with the password (XEP-0388 §2.3 to §2.6).
func (c *Client) sasl2(d *Dial, offered []string, user, extra string, t *token) error {
	begin := func(mech, response string) error {
		return c.write("<authenticate xmlns='" + sasl2Space + "' mechanism='" + mech + "'><initial-response>" +
			base64.StdEncoding.EncodeToString([]byte(response)) + "</initial-response>" + extra + "</authenticate>")
	}
	if slices.Contains(offered, "PLAIN") {
		if err := begin("PLAIN", "\x00"+user+"\x00"+d.Password); err != nil {
			return err
		}
		_, err := c.authenticated(t)
		return err
	}
	mech := "SCRAM-SHA-1"
	if slices.Contains(offered, "SCRAM-SHA-256") {
		mech = "SCRAM-SHA-256"
	}
	s := newScram(mech, d.Password, &d.keys)
	if err := begin(mech, s.first(user)); err != nil {
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
	if err := c.write("<response xmlns='" + sasl2Space + "'>" + base64.StdEncoding.EncodeToString([]byte(final)) + "</response>"); err != nil {
		return err
	}
	data, err := c.authenticated(t)
	if err != nil {
		return err
	}
	return s.verify(string(data))
}

// withToken proves that the client has the token, and checks that the server has it.
func (c *Client) withToken(mech, user, agent string, t *token) error {
	var binding []byte
	if strings.HasSuffix(mech, "-EXPR") { // RFC 9266 §2
		conn, ok := c.conn.(*tls.Conn)
		if !ok {
			return errors.New("FAST: channel binding without TLS")
		}
		state := conn.ConnectionState()
		var err error
		if binding, err = state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err != nil {
			return err
		}
	}
	secret := t.secret
	proof := func(who string) []byte {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write([]byte(who))
		m.Write(binding)
		return m.Sum(nil)
	}
	response := append([]byte(user+"\x00"), proof("Initiator")...)
	if err := c.write("<authenticate xmlns='" + sasl2Space + "' mechanism='" + mech + "'><initial-response>" + base64.StdEncoding.EncodeToString(response) +
		"</initial-response>" + agent + "<fast xmlns='" + fastSpace + "'/></authenticate>"); err != nil {
		return err
	}
	data, err := c.authenticated(t)
	if err != nil {
		return err
	}
	if !hmac.Equal(data, proof("Responder")) {
		return errors.New("FAST: the server's proof is wrong")
	}
	return nil
}

// authenticated reads <success/>, keeps the token it brings, and gives its data.
func (c *Client) authenticated(t *token) ([]byte, error) {
	e, err := c.in.expect("success")
	if err != nil {
		return nil, err
	}
	if k := e.Child(fastSpace, "token"); k != nil {
		t.secret = k.Attr("token")
	}
	if t.secret == "" {
		return nil, errors.New("FAST: the server gave no token")
	}
	return base64.StdEncoding.DecodeString(strings.TrimSpace(e.ChildText("additional-data")))
}
