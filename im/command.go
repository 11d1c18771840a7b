package im

import (
	"context"
	"slices"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Command is one ad-hoc command of the host as data (XEP-0050); feature/adhoc runs it.
type Command struct {
	Node string
	Name string // in menus
	// Hidden commands are answered but not listed.
	Hidden bool
	// May says whether somebody may see and run it on that host. It is asked at
	// every step. nil: everybody.
	May func(ctx context.Context, host, who jid.JID) (bool, error)
	// Stages are its forms, in order; without any, Run is called at once.
	Stages []Stage
	// Run does it. A *stanza.Error goes to the asker as it is; the session stays
	// open, so that they can mend what they filled in.
	Run func(ctx context.Context, c *Call) (*Outcome, error)
}

// Stage is one form of a command.
type Stage struct {
	// Form makes it; earlier stages are in the call.
	Form func(ctx context.Context, c *Call) (*form.Form, error)
	// Check refuses what can't be gone on with; nil: what the form itself
	// demands (required fields, addresses, choices) is enough.
	Check func(ctx context.Context, c *Call) error
}

// Call is one execution of a command.
type Call struct {
	ID        string // of the session, unguessable
	Host, Who jid.JID
	// Forms are the submitted forms of the stages so far.
	Forms []*form.Form
}

// Value is the first value of a field, the latest form first.
func (c *Call) Value(name string) string {
	if v := c.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Values are all values of a field, the latest form first.
func (c *Call) Values(name string) []string {
	for _, f := range slices.Backward(c.Forms) {
		if f == nil {
			continue
		}
		if _, ok := f.Value(name); ok {
			return f.Values(name)
		}
	}
	return nil
}

// Outcome is what a command that is completed has to say.
type Outcome struct {
	Form    *form.Form
	Payload []*elem.Element
	Notes   []Note
}

// Note is a remark for the person (XEP-0050 §4.3).
type Note struct{ Type, Text string } // info, warn or error

// Mend is an error in what a person wrote into a stage's form that this person
// can mend: they get the form once more, with what they wrote and a note of the
// type error (XEP-0050 §3.3, §4.3), not an error stanza that ends the command for
// many clients.
type Mend struct{ Text string }

func (m *Mend) Error() string { return m.Text }

// Done is an outcome with one remark.
func Done(text string) *Outcome { return &Outcome{Notes: []Note{{"info", text}}} }
