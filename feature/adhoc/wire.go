package adhoc

import (
	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Space is the namespace, and the node under which commands are listed.
const Space = "http://jabber.org/protocol/commands"

// Actions (XEP-0050 §4.1).
const (
	execute  = "execute"
	cancel   = "cancel"
	prev     = "prev"
	next     = "next"
	complete = "complete"
)

// fail is an error of XEP-0050 §4.4: a general condition and one of its own.
func fail(condition, typ, own, text string) *stanza.Error {
	e := stanza.Fail(condition, text).WithType(typ)
	e.App = elem.New(Space, own)
	return e
}

func badRequest(own, text string) *stanza.Error { return fail("bad-request", "modify", own, text) }

// command is the answer's element.
func command(node, id, status string) *elem.Element {
	return elem.New(Space, "command", "node", node, "sessionid", id, "status", status, "xml:lang", "en")
}

// executing shows a stage's form and what can be done with it.
func executing(s *session, f *form.Form) *elem.Element {
	last := s.stage == len(s.cmd.Stages)-1
	actions := elem.New(Space, "actions")
	if s.stage > 0 {
		actions.Add(elem.New(Space, prev))
	}
	// XEP-0050 §3.4: "execute" names an action that is allowed.
	if last {
		actions.Set(execute, complete).Add(elem.New(Space, complete))
	} else {
		actions.Set(execute, next).Add(elem.New(Space, next))
	}
	return command(s.cmd.Node, s.call.ID, "executing").Add(actions, f.Element())
}

func note(typ, text string) *elem.Element {
	return elem.New(Space, "note", "type", typ).SetText(text)
}

func completed(node, id string, o *im.Outcome) *elem.Element {
	e := command(node, id, "completed")
	if o == nil {
		return e
	}
	for _, n := range o.Notes {
		e.Add(note(n.Type, n.Text))
	}
	if o.Form != nil {
		e.Add(o.Form.Element())
	}
	return e.Add(o.Payload...)
}
