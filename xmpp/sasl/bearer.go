package sasl

import (
	"context"
	"strings"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// bearer runs OAUTHBEARER (RFC 7628) with tokens of our own HTTPS login.
type bearer struct {
	conf   Config
	creds  Credentials
	who    jid.JID
	failed *Failure // set while the peer still owes its empty answer
	end    bool
}

func (x *bearer) JID() jid.JID { return x.who }

func (x *bearer) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	switch {
	case x.end:
		return nil, false, Fail(MalformedRequest, "The exchange is over.")
	case x.failed != nil:
		// RFC 7628 §3.2.3: whatever the dummy answer is, now comes the failure.
		x.end = true
		return nil, false, x.failed
	case response == nil:
		return []byte{}, false, nil
	}
	h, token, ok := parseBearer(string(response))
	if !ok {
		x.end = true
		return nil, false, Fail(MalformedRequest, "Malformed OAUTHBEARER message.")
	}
	who, err := x.creds.Token(ctx, token)
	if err == nil && who.Domain() != x.conf.host() {
		err = Denied()
	}
	if err == nil {
		if f := authorize(h.authzid, who); f != nil {
			err = f
		}
	}
	if err != nil {
		return x.deny(failure(err))
	}
	x.who, x.end = who, true
	return nil, true, nil
}

// deny sends the error document of RFC 7628 §3.2.2 first, where the trouble is
// the token; the failure follows the peer's answer.
func (x *bearer) deny(f *Failure) ([]byte, bool, error) {
	if f.Condition != NotAuthorized {
		x.end = true
		return nil, false, f
	}
	x.failed = f
	return []byte(`{"status":"invalid_token"}`), false, nil
}

// parseBearer reads `gs2-header ^A *(key=value ^A) ^A` (RFC 7628 §3.1).
func parseBearer(msg string) (h header, token string, ok bool) {
	h, rest, err := parseHeader(msg)
	// RFC 7628 §3.1 and §5: no channel binding is defined for OAUTHBEARER.
	if err != nil || h.flag == 'p' {
		return h, "", false
	}
	rest, ok = strings.CutPrefix(rest, "\x01")
	if !ok {
		return h, "", false
	}
	rest, ok = strings.CutSuffix(rest, "\x01\x01")
	if !ok {
		return h, "", false
	}
	for pair := range strings.SplitSeq(rest, "\x01") {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return h, "", false
		}
		if key != "auth" { // host, port and others are for other deployments
			continue
		}
		scheme, t, _ := strings.Cut(value, " ")
		if token != "" || !strings.EqualFold(scheme, "Bearer") || !tokenChars(t) {
			return h, "", false
		}
		token = t
	}
	return h, token, token != ""
}

// tokenChars is b64token of RFC 6750 §2.1.
func tokenChars(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		c := body[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return body != ""
}
