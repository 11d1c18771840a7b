package sasl

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// maxPassword bounds the work a password can cause. RFC 4616 §2 wants at least
// 255 octets; nobody types more than this.
const maxPassword = 1024

// plain runs RFC 4616: one message.
type plain struct {
	conf  Config
	creds Credentials
	who   jid.JID
	end   bool
}

func (x *plain) JID() jid.JID { return x.who }

func (x *plain) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	if x.end {
		return nil, false, Fail(MalformedRequest, "The exchange is over.")
	}
	if response == nil {
		return []byte{}, false, nil
	}
	x.end = true
	authzid, user, password, ok := parsePlain(string(response))
	if !ok {
		return nil, false, Fail(MalformedRequest, "Malformed PLAIN message.")
	}
	who, f := x.conf.account(user)
	if f != nil {
		return nil, false, f
	}
	if f := authorize(authzid, who); f != nil {
		return nil, false, f
	}
	if err := x.creds.Password(ctx, who, password); err != nil {
		return nil, false, failure(err)
	}
	x.who = who
	return nil, true, nil
}

// parsePlain reads `[authzid] NUL authcid NUL passwd` (RFC 4616 §2).
func parsePlain(msg string) (authzid, user, password string, ok bool) {
	parts := strings.Split(msg, "\x00")
	if len(parts) != 3 || !utf8.ValidString(msg) {
		return "", "", "", false
	}
	authzid, user, password = parts[0], parts[1], parts[2]
	return authzid, user, password, user != "" && password != "" && len(password) <= maxPassword
}
