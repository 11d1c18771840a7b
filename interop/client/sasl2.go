package client

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const sasl2Space = "urn:xmpp:sasl:2"

// Mechanisms2 lists what the features offer over XEP-0388.
func (c *Conn) Mechanisms2() []string {
	return texts(c.Features.Kid(sasl2Space, "authentication"), "mechanism")
}

// TokenMechanisms lists what the features offer for tokens (XEP-0484 §3.1).
func (c *Conn) TokenMechanisms() []string {
	return texts(c.Features.Path("authentication", "inline", "fast"), "mechanism")
}

func texts(n *Node, local string) (out []string) {
	for _, k := range n.kids() {
		if k.Name.Local == local {
			out = append(out, strings.TrimSpace(k.Text))
		}
	}
	return out
}

// Auth2 logs in over XEP-0388; inner is the XML of what is asked for with it. The
// answer is <success/>, <continue/> or <failure/>.
func (c *Conn) Auth2(mech, user, pass, inner string) (*Node, error) {
	if mech == "PLAIN" {
		return c.authenticate(mech, "\x00"+user+"\x00"+pass, inner)
	}
	gs2, bind := "n,,", []byte(nil)
	if strings.HasSuffix(mech, "-PLUS") {
		var err error
		if bind, err = c.Exporter(); err != nil {
			return nil, err
		}
		gs2 = "p=tls-exporter,,"
	}
	s, err := newScram(mech, user, pass, gs2, bind)
	if err != nil {
		return nil, err
	}
	ch, err := c.authenticate(mech, s.first(), inner)
	if err != nil || ch.Name.Local != "challenge" {
		return ch, err
	}
	if err := c.undisturbed(s, unbase64(ch.Text)); err != nil {
		return nil, err
	}
	fin, err := s.final(unbase64(ch.Text))
	if err != nil {
		return nil, err
	}
	if err := c.Send("<response xmlns='" + sasl2Space + "'>" + base64.StdEncoding.EncodeToString([]byte(fin)) + "</response>"); err != nil {
		return nil, err
	}
	n, err := c.Next()
	if err != nil || n.Name.Local == "failure" {
		return n, err
	}
	return n, s.verify(unbase64(text(n.Path("additional-data"))))
}

func text(n *Node) string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.Text)
}

// undisturbed compares what the server says it announced with what came (XEP-0474 §6.2).
func (c *Conn) undisturbed(s *scram, challenge string) error {
	h, ok := fields(challenge)["h"]
	if !ok {
		return nil
	}
	list := slices.Sorted(slices.Values(c.Mechanisms2()))
	all := strings.Join(list, "\x1e")
	var kinds []string
	for _, k := range c.Features.Kid("", "sasl-channel-binding").kids() {
		kinds = append(kinds, k.Get("type"))
	}
	slices.Sort(kinds)
	if len(kinds) > 0 {
		all += "\x1f" + strings.Join(kinds, "\x1e")
	}
	sum := s.hash()
	sum.Write([]byte(all))
	if base64.StdEncoding.EncodeToString(sum.Sum(nil)) != h {
		return errors.New("client: the list of mechanisms was changed on the way")
	}
	return nil
}

func (c *Conn) authenticate(mech, data, inner string) (*Node, error) {
	if err := c.Send(Authenticate(mech, data, inner)); err != nil {
		return nil, err
	}
	return c.Next()
}

// Authenticate is the element.
func Authenticate(mech, data, inner string) string {
	return "<authenticate xmlns='" + sasl2Space + "' mechanism='" + Escape(mech) + "'><initial-response>" +
		base64.StdEncoding.EncodeToString([]byte(data)) + "</initial-response>" + inner + "</authenticate>"
}

// Exporter is the binding of the connection (RFC 9266).
func (c *Conn) Exporter() ([]byte, error) {
	if c.tls == nil {
		return nil, errors.New("client: no TLS")
	}
	st := c.tls.ConnectionState()
	return st.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
}

// TokenProof is the message of a login with a token; binding is nil for -NONE.
func TokenProof(user, token string, binding []byte) string {
	return user + "\x00" + string(TokenAnswer(token, "Initiator", binding))
}

// TokenAnswer is one side's proof that it has the token; the server is the "Responder".
func TokenAnswer(token, side string, binding []byte) []byte {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte(side))
	m.Write(binding)
	return m.Sum(nil)
}

// Upgrade makes keys of another hash, as <continue/> asks for (XEP-0480 §3), and
// gives the answer.
func (c *Conn) Upgrade(task, pass string) (*Node, error) {
	if err := c.Send("<next xmlns='" + sasl2Space + "' task='" + task + "'/>"); err != nil {
		return nil, err
	}
	n, err := c.Next()
	if err != nil {
		return nil, err
	}
	salt := n.Path("salt")
	if salt == nil {
		return n, fmt.Errorf("client: no salt in %s", n)
	}
	iter, err := strconv.Atoi(salt.Get("iterations"))
	if err != nil {
		return nil, err
	}
	s, err := newScram(strings.TrimPrefix(task, "UPGR-"), "", pass, "", nil)
	if err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(s.hash, pass, []byte(unbase64(text(salt))), iter, s.hash().Size())
	if err != nil {
		return nil, err
	}
	if err := c.Send("<task-data xmlns='" + sasl2Space + "'><hash xmlns='urn:xmpp:scram-upgrade:0'>" +
		base64.StdEncoding.EncodeToString(key) + "</hash></task-data>"); err != nil {
		return nil, err
	}
	return c.Next()
}
