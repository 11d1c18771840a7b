package stream

import (
	"fmt"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// ErrorSpace is the namespace of stream error conditions (RFC 6120 §4.9.2).
const ErrorSpace = "urn:ietf:params:xml:ns:xmpp-streams"

// Error is a stream error: it ends the stream it is sent on (RFC 6120 §4.9).
type Error struct {
	Condition string // RFC 6120 §4.9.3, for example "policy-violation"
	Text      string // for the person reading the other end's log; may be empty
	App       *elem.Element
}

func (e *Error) Error() string {
	if e.Text == "" {
		return "stream: " + e.Condition
	}
	return "stream: " + e.Condition + ": " + e.Text
}

// Fail makes an error; the text says what the other side can do about it.
func Fail(condition, text string) *Error { return &Error{Condition: condition, Text: text} }

// Failf is Fail with a formatted text.
func Failf(condition, format string, args ...any) *Error {
	return &Error{Condition: condition, Text: fmt.Sprintf(format, args...)}
}

// AppendTo writes the element with the prefix "stream", which must be declared
// where it stands, and returns the offset after its name.
func (e *Error) AppendTo(dst []byte) (out []byte, nameEnd int) {
	start := len(dst)
	dst = append(dst, "<stream:error"...)
	nameEnd = len(dst) - start
	dst = append(dst, '>')
	cond := e.Condition
	if !defined(cond) {
		cond = "undefined-condition"
	}
	dst = append(dst, '<')
	dst = append(dst, cond...)
	dst = append(dst, " xmlns='"+ErrorSpace+"'/>"...)
	if e.Text != "" {
		dst = append(dst, "<text xmlns='"+ErrorSpace+"' xml:lang='"+Lang+"'>"...)
		dst = elem.AppendText(dst, e.Text)
		dst = append(dst, "</text>"...)
	}
	if e.App != nil {
		dst = e.App.AppendTo(dst, Client)
	}
	return append(dst, "</stream:error>"...), nameEnd
}

// conditions are all of RFC 6120 §4.9.3.
var conditions = [...]string{
	"bad-format", "bad-namespace-prefix", "conflict", "connection-timeout", "host-gone", "host-unknown",
	"improper-addressing", "internal-server-error", "invalid-from", "invalid-namespace", "invalid-xml",
	"not-authorized", "not-well-formed", "policy-violation", "remote-connection-failed", "reset",
	"resource-constraint", "restricted-xml", "see-other-host", "system-shutdown", "undefined-condition",
	"unsupported-encoding", "unsupported-feature", "unsupported-stanza-type", "unsupported-version",
}

func defined(condition string) bool {
	for _, c := range conditions {
		if c == condition {
			return true
		}
	}
	return false
}
