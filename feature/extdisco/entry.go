package extdisco

import (
	"crypto/hmac"
	"crypto/sha1" // what TURN servers check with; an HMAC does not lean on collisions
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Entry is one STUN or TURN server.
type Entry struct {
	Type      string // stun, stuns, turn, turns
	Host      string // a name or an IP address, without brackets
	Port      int
	Transport string // udp or tcp
}

// Settings are a host's services and what opens the TURN servers among them: a shared
// secret, or a fixed name and password, or nothing.
type Settings struct {
	Services           []Entry
	Secret             string
	Lifetime           time.Duration // of what is made from the secret
	Username, Password string
}

// Parse reads the URI of a server, as browsers take it: TYPE:HOST, TYPE:HOST:PORT, and
// ?transport=udp or tcp behind it.
func Parse(uri string) (s Entry, err error) {
	typ, rest, _ := strings.Cut(uri, ":")
	s = Entry{Type: typ, Port: 3478, Transport: "udp"}
	switch typ {
	case "stun", "turn":
	case "stuns", "turns":
		s.Port, s.Transport = 5349, "tcp"
	default:
		return s, fmt.Errorf("%q is no stun:, stuns:, turn: or turns: address", uri)
	}
	rest, query, asked := strings.Cut(rest, "?")
	if asked {
		s.Transport = strings.TrimPrefix(query, "transport=")
		if s.Transport != "udp" && s.Transport != "tcp" || query == s.Transport {
			return s, fmt.Errorf("%q: behind the question mark stands transport=udp or transport=tcp", uri)
		}
	}
	s.Host = rest
	if host, port, err := net.SplitHostPort(rest); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return s, fmt.Errorf("%q: %q is no port", uri, port)
		}
		s.Host, s.Port = host, int(n)
	} else if inner, ok := strings.CutPrefix(rest, "["); ok {
		s.Host = strings.TrimSuffix(inner, "]")
	}
	if s.Host == "" || strings.ContainsAny(s.Host, "/@[] ") || strings.Contains(s.Host, ":") && net.ParseIP(s.Host) == nil {
		return s, fmt.Errorf("%q: %q is neither a host's name nor its address", uri, s.Host)
	}
	return s, nil
}

// relay says that it costs its operator and wants to know who comes.
func (s Entry) relay() bool { return s.Type == "turn" || s.Type == "turns" }

// element is XEP-0215 §2 without credentials.
func (s Entry) element() *elem.Element {
	return elem.New(space, "service", "host", s.Host, "port", strconv.Itoa(s.Port), "transport", s.Transport, "type", s.Type)
}

// element adds what opens the service to somebody.
func (c Settings) element(s Entry, who jid.JID, now time.Time) *elem.Element {
	e := s.element()
	switch {
	case !s.relay():
	case c.Secret != "":
		until := now.Add(c.Lifetime).UTC()
		name := strconv.FormatInt(until.Unix(), 10) + ":" + who.String()
		mac := hmac.New(sha1.New, []byte(c.Secret))
		mac.Write([]byte(name)) // never fails
		e.Set("restricted", "true")
		e.Set("username", name)
		e.Set("password", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		e.Set("expires", until.Format("2006-01-02T15:04:05Z")) // XEP-0215 §2: UTC, as XEP-0082 §3.2 has it
	case c.Username != "":
		e.Set("restricted", "true")
		e.Set("username", c.Username)
		e.Set("password", c.Password)
	}
	return e
}
