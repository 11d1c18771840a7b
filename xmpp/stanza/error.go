package stanza

import "github.com/parlance-im/parlance/xmpp/elem"

// ErrorSpace is the namespace of stanza error conditions (RFC 6120 §8.3.2).
const ErrorSpace = "urn:ietf:params:xml:ns:xmpp-stanzas"

// Error is a stanza error (RFC 6120 §8.3). It is a Go error, so that a handler
// returns one and the path turns it into the reply.
type Error struct {
	Type      string // auth, cancel, continue, modify, wait
	Condition string // RFC 6120 §8.3.3
	Text      string // what the person can do about it
	App       *elem.Element
	// About repeats what of the request the error is about, for clients that look
	// for it there (RFC 6120 §8.3.1); nil: nothing is repeated.
	About *elem.Element
}

func (e *Error) Error() string {
	if e.Text == "" {
		return "stanza: " + e.Condition
	}
	return "stanza: " + e.Condition + ": " + e.Text
}

// Temporary says that the same stanza may succeed later (RFC 6120 §8.3.2: type wait).
func (e *Error) Temporary() bool { return e.Type == "wait" }

// errorTypes gives each condition of RFC 6120 §8.3.3 its recommended type.
var errorTypes = map[string]string{
	"bad-request":             "modify",
	"conflict":                "cancel",
	"feature-not-implemented": "cancel",
	"forbidden":               "auth",
	"gone":                    "cancel",
	"internal-server-error":   "cancel",
	"item-not-found":          "cancel",
	"jid-malformed":           "modify",
	"not-acceptable":          "modify",
	"not-allowed":             "cancel",
	"not-authorized":          "auth",
	"policy-violation":        "modify",
	"recipient-unavailable":   "wait",
	"redirect":                "modify",
	"registration-required":   "auth",
	"remote-server-not-found": "cancel",
	"remote-server-timeout":   "wait",
	"resource-constraint":     "wait",
	"service-unavailable":     "cancel",
	"subscription-required":   "auth",
	"undefined-condition":     "cancel",
	"unexpected-request":      "wait",
}

// Fail makes an error with the condition's recommended type.
func Fail(condition, text string) *Error {
	t, ok := errorTypes[condition]
	if !ok {
		return &Error{Type: "cancel", Condition: "undefined-condition", Text: text}
	}
	return &Error{Type: t, Condition: condition, Text: text}
}

// WithType returns a copy of e with another error type.
func (e *Error) WithType(typ string) *Error { c := *e; c.Type = typ; return &c }

// Element is the <error/> child for a stanza in namespace jabber:client.
func (e *Error) Element() *elem.Element {
	el := elem.New(Space, "error", "type", e.Type).Add(elem.New(ErrorSpace, e.Condition))
	if e.Text != "" {
		el.Add(elem.New(ErrorSpace, "text").SetText(e.Text))
	}
	if e.App != nil {
		el.Add(e.App)
	}
	return el
}
