package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// within bounds each answer.
const within = 20 * time.Second

const (
	commands = "http://jabber.org/protocol/commands"
	adminNS  = "http://jabber.org/protocol/admin"
)

// field is one field of a submitted form.
type field struct {
	name   string
	values []string
}

func v(name string, values ...string) field { return field{name, values} }

func submit(fields []field) string {
	var b strings.Builder
	b.WriteString("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" + adminNS + "</value></field>")
	for _, f := range fields {
		b.WriteString("<field var='" + f.name + "'>")
		for _, val := range f.values {
			b.WriteString("<value>" + client.Escape(val) + "</value>")
		}
		b.WriteString("</field>")
	}
	return b.String() + "</x>"
}

// step sends one command element and gives the whole answer.
func step(c *client.Client, node, session, action, payload string) (*client.Node, error) {
	attrs := " node='" + node + "'"
	if session != "" {
		attrs += " sessionid='" + session + "'"
	}
	if action != "" {
		attrs += " action='" + action + "'"
	}
	return c.IQ(within, "set", server.Domain, "<command xmlns='"+commands+"'"+attrs+">"+payload+"</command>")
}

// execute runs a command of XEP-0133 to its end: with fields through its form,
// without in one step. The error tells what an error stanza said.
func execute(c *client.Client, node string, fields ...field) (*client.Node, error) {
	return executeAt(c, adminNS+"#"+node, fields...)
}

func executeAt(c *client.Client, node string, fields ...field) (*client.Node, error) {
	iq, err := step(c, node, "", "execute", "")
	if err != nil {
		return nil, err
	}
	if err := refused(iq); err != nil {
		return iq, err
	}
	cmd := iq.Kid(commands, "command")
	if cmd.Get("status") == "executing" {
		if iq, err = step(c, node, cmd.Get("sessionid"), "", submit(fields)); err != nil {
			return nil, err
		}
		if err := refused(iq); err != nil {
			return iq, err
		}
		cmd = iq.Kid(commands, "command")
	}
	for _, k := range cmd.Kids {
		if k.Name.Local == "note" && k.Get("type") == "error" {
			return iq, &refusal{condition: mended, text: k.Text}
		}
	}
	if cmd.Get("status") != "completed" {
		return iq, fmt.Errorf("admin: %s: %s", node, iq)
	}
	return cmd, nil
}

// mended is the condition of a refusal that is a note beside the form, not an
// error stanza: the person may write something else.
const mended = "note"

// refusal is an error stanza as a Go error.
type refusal struct{ condition, own, text string }

func (r *refusal) Error() string { return r.condition + " " + r.own + ": " + r.text }

func refused(iq *client.Node) error {
	if iq.Get("type") != "error" {
		return nil
	}
	r := &refusal{condition: iq.Condition()}
	for _, k := range iq.Kid("", "error").Kids {
		if k.Name.Space == commands {
			r.own = k.Name.Local
		}
		if k.Name.Local == "text" {
			r.text = k.Text
		}
	}
	return r
}

// values are those of a field in the form of an answer.
func values(cmd *client.Node, name string) (out []string) {
	for _, x := range cmd.Kids {
		if x.Name.Space != "jabber:x:data" {
			continue
		}
		for _, f := range x.Kids {
			if f.Get("var") == name {
				for _, val := range f.Kids {
					if val.Name.Local == "value" {
						out = append(out, val.Text)
					}
				}
			}
		}
	}
	return out
}

// listed are the commands somebody is shown.
func listed(c *client.Client) (map[string]string, error) {
	iq, err := c.IQ(within, "get", server.Domain, "<query xmlns='http://jabber.org/protocol/disco#items' node='"+commands+"'/>")
	if err != nil {
		return nil, err
	}
	if err := refused(iq); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, item := range iq.Path("query").Kids {
		out[item.Get("node")] = item.Get("name")
	}
	return out, nil
}
