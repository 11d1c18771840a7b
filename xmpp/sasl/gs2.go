package sasl

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// header is a GS2 header (RFC 5801 §4, used by RFC 5802 §7 and RFC 7628 §3.1).
type header struct {
	flag    byte   // 'n', 'y' or 'p'
	binding string // with 'p': the channel binding type
	authzid string // unescaped; "" if absent
}

var errGS2 = errors.New("malformed GS2 header")

// parseHeader cuts `gs2-cbind-flag "," [ authzid ] ","` off a message.
func parseHeader(msg string) (h header, rest string, err error) {
	flag, rest, ok := strings.Cut(msg, ",")
	if !ok {
		return h, "", errGS2
	}
	authz, rest, ok := strings.Cut(rest, ",")
	if !ok {
		return h, "", errGS2
	}
	switch {
	case flag == "n" || flag == "y":
		h.flag = flag[0]
	case strings.HasPrefix(flag, "p=") && len(flag) > 2:
		h.flag, h.binding = 'p', flag[2:]
	default:
		// RFC 5801 §4: the "F" (non-standard) flag is for other mechanisms.
		return h, "", errGS2
	}
	if authz != "" {
		name, found := strings.CutPrefix(authz, "a=")
		if h.authzid, ok = unescape(name); !found || !ok || h.authzid == "" {
			return h, "", errGS2
		}
	}
	return h, rest, nil
}

// unescape undoes "=2C" and "=3D" of a saslname (RFC 5802 §5.1).
func unescape(s string) (string, bool) {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return "", false
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '=')
		if i < 0 {
			b.WriteString(s)
			return b.String(), true
		}
		b.WriteString(s[:i])
		switch {
		case strings.HasPrefix(s[i:], "=2C"):
			b.WriteByte(',')
		case strings.HasPrefix(s[i:], "=3D"):
			b.WriteByte('=')
		default:
			return "", false
		}
		s = s[i+3:]
	}
}

// account turns a user name into the account's JID. RFC 6120 §6.3.7: the simple
// user name is the localpart; since "@" cannot be in one, a bare JID of our
// domain is understood as well. Case and Unicode variants become one JID.
func (c Config) account(user string) (jid.JID, *Failure) {
	var j jid.JID
	var err error
	if strings.Contains(user, "@") {
		j, err = jid.Parse(user)
	} else {
		j, err = jid.New(user, c.Domain, "")
	}
	// Such a name cannot exist, so that the refusal tells nothing about others.
	if err != nil || j.Local() == "" || !j.IsBare() || j.Domain() != c.host() {
		return jid.JID{}, Denied()
	}
	return j, nil
}

func (c Config) host() string {
	d, err := jid.New("", c.Domain, "")
	if err != nil {
		return c.Domain
	}
	return d.Domain()
}

// authorize demands that an authorization identity is absent or the bare JID
// of who logs in (RFC 6120 §6.3.8, HARDENING A5): nobody acts for another.
func authorize(authzid string, who jid.JID) *Failure {
	if authzid == "" {
		return nil
	}
	j, err := jid.Parse(authzid)
	if err != nil || j != who || who.IsZero() {
		return Fail(InvalidAuthzid, "You can only log in as yourself.") // RFC 6120 §6.5.6
	}
	return nil
}
