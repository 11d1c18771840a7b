package room

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// spaceCommands is XEP-0050; formHats is XEP-0317 §3.8.
const (
	spaceCommands = "http://jabber.org/protocol/commands"
	formHats      = "urn:xmpp:hats:commands"
)

// hatCommand is one of the room's ad-hoc commands: of one form, or none. It keeps
// no session: all it needs is in the form (XEP-0317 §3.3 sends it at once).
type hatCommand struct {
	node, title string
	anybody     bool // who is in the room, or a member, may run it
	form        func(r *room) *elem.Element
	run         func(r *room, f *form.Form) (*plan, *form.Form, error)
}

// hatCommands are those of XEP-0317 §3.2 to §3.7.
func hatCommands() []hatCommand {
	return []hatCommand{
		{node: "create", title: "Create or change a hat", form: createForm, run: createHat},
		{node: "destroy", title: "Destroy a hat", form: func(r *room) *elem.Element { return hatForm(r, "Destroying a hat", false) }, run: destroyHat},
		{node: "list", title: "List the hats", anybody: true, run: listHats},
		{node: "assign", title: "Give somebody a hat", form: func(r *room) *elem.Element { return hatForm(r, "Assigning a hat", true) }, run: func(r *room, f *form.Form) (*plan, *form.Form, error) { return wearHat(r, f, true) }},
		{node: "unassign", title: "Take somebody's hat", form: func(r *room) *elem.Element { return hatForm(r, "Removing a hat", true) }, run: func(r *room, f *form.Form) (*plan, *form.Form, error) { return wearHat(r, f, false) }},
		{node: "list-assigned", title: "List who wears which hat", run: listWorn},
	}
}

func findCommand(node string) (hatCommand, bool) {
	for _, c := range hatCommands() {
		if formHats+":"+c.node == node {
			return c, true
		}
	}
	return hatCommand{}, false
}

// mayRun says who may: hats are the admins' to give; the list is for who belongs to the room.
func (c *hatCommand) mayRun(w who) error {
	if w.affiliation >= Admin || c.anybody && w.affiliation != Outcast && (w.role != NoRole || w.affiliation >= Member) {
		return nil
	}
	return errForbidden("only admins of this room do this")
}

// command answers XEP-0050 §3.
func (rs desk) command(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	node := q.Payload.Attr("node")
	c, ok := findCommand(node)
	if !ok {
		return nil, fail("item-not-found", "there is no such command")
	}
	out := elem.New(spaceCommands, "command", "node", node, "sessionid", q.Payload.Attr("sessionid"))
	if out.Attr("sessionid") == "" {
		out.Set("sessionid", rand.Text())
	}
	err := rs.changing(ctx, q, func(r *room) (*plan, error) {
		if err := c.mayRun(rs.person(r, q)); err != nil {
			return nil, err
		}
		switch q.Payload.Attr("action") {
		case "cancel":
			out.Set("status", "canceled")
			return nil, nil
		case "", "execute", "complete", "next":
		default:
			return nil, fail("bad-request", "this command has one step")
		}
		f := form.Read(q.Payload.Child(form.Space, "x"))
		if f == nil && c.form != nil {
			out.Set("status", "executing")
			out.Add(elem.New(spaceCommands, "actions", "execute", "complete").Add(elem.New(spaceCommands, "complete")), c.form(r))
			return nil, nil
		}
		if c.form != nil && (f.Type != "submit" || f.Kind() != formHats) {
			return nil, fail("bad-request", "this is not the command's form")
		}
		p, answer, err := c.run(r, f)
		out.Set("status", "completed")
		if answer != nil {
			out.Add(answer.Element())
		}
		return p, err
	})
	return out, err
}

// commandItems lists the room's commands (XEP-0050 §2.2) for who may run them.
func (r rule) commandItems(w who, out *elem.Element) {
	for _, c := range hatCommands() {
		if c.mayRun(w) == nil {
			out.Add(elem.New(disco.ItemsSpace, "item", "jid", r.at.String(), "node", formHats+":"+c.node, "name", c.title))
		}
	}
}

func createForm(*room) *elem.Element {
	required := func(name, label string) *elem.Element {
		f := field("text-single", name, label, nil)
		return f.Add(elem.New(form.Space, "required"))
	}
	return titled(formHats, "Creating a hat", "A hat of a URI that is there already is changed.").Add(
		required("hats#title", "Title"), required("hats#uri", "URI"), field("text-single", "hats#hue", "Hue", nil))
}

// hatForm asks for a hat, and for whom.
func hatForm(r *room, title string, whose bool) *elem.Element {
	x := titled(formHats, title, "")
	if whose {
		x.Add(field("jid-single", "hats#jid", "Address", nil).Add(elem.New(form.Space, "required")))
	}
	var options []option
	for _, uri := range slices.Sorted(maps.Keys(r.hats.all)) {
		options = append(options, option{uri, r.hats.all[uri].title})
	}
	return x.Add(field("list-single", "hats#uri", "Hat", options).Add(elem.New(form.Space, "required")))
}

// value is a field of a hats' form; the example of XEP-0317 §3.3 calls the URI "hat".
func value(f *form.Form, name string) string {
	v, ok := f.Value(name)
	if !ok && name == "hats#uri" {
		v, _ = f.Value("hat")
	}
	return v
}

func createHat(r *room, f *form.Form) (*plan, *form.Form, error) {
	uri := value(f, "hats#uri")
	one, err := readHat(uri, value(f, "hats#title"), value(f, "hats#hue"))
	if err != nil {
		return nil, nil, err
	}
	if _, there := r.hats.all[uri]; !there && len(r.hats.all) >= maxHats {
		return nil, nil, fail("resource-constraint", "this room has as many hats as it may")
	}
	return rule{r}.rehat(r.hats.with(uri, one), r.hats.wearers(uri), true, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlHat, r.at.String(), uri, one.title, one.hue)
		return err
	}), nil, nil
}

func destroyHat(r *room, f *form.Form) (*plan, *form.Form, error) {
	uri := value(f, "hats#uri")
	if _, there := r.hats.all[uri]; !there {
		return nil, nil, fail("item-not-found", "there is no such hat")
	}
	// XEP-0317 §3.3: it is taken from all who wear it.
	return rule{r}.rehat(r.hats.without(uri), r.hats.wearers(uri), true, func(tx *store.Tx) error {
		if _, err := tx.Exec(sqlUnwearAll, r.at.String(), uri); err != nil {
			return err
		}
		_, err := tx.Exec(sqlUnhat, r.at.String(), uri)
		return err
	}), nil, nil
}

func wearHat(r *room, f *form.Form, on bool) (*plan, *form.Form, error) {
	who, err := jid.Parse(value(f, "hats#jid"))
	if err != nil || who.Local() == "" {
		return nil, nil, fail("jid-malformed", "whose hat is it?")
	}
	who = who.Bare()
	uri := value(f, "hats#uri")
	if _, there := r.hats.all[uri]; !there {
		return nil, nil, fail("item-not-found", "there is no such hat")
	}
	if on && len(r.hats.worn[who]) >= maxWorn {
		return nil, nil, fail("resource-constraint", "nobody wears so many hats")
	}
	if on == slices.Contains(r.hats.worn[who], uri) {
		return nil, nil, nil
	}
	sql := sqlUnwear
	if on {
		sql = sqlWear
	}
	return rule{r}.rehat(r.hats.put(who, uri, on), []jid.JID{who}, false, func(tx *store.Tx) error {
		_, err := tx.Exec(sql, r.at.String(), who.String(), uri)
		return err
	}), nil, nil
}

func listHats(r *room, _ *form.Form) (*plan, *form.Form, error) {
	out := hatList("hats#title", "hats#uri", "hats#hue")
	for _, uri := range slices.Sorted(maps.Keys(r.hats.all)) {
		out.Items = append(out.Items, r.hats.row(uri))
	}
	return nil, out, nil
}

func listWorn(r *room, _ *form.Form) (*plan, *form.Form, error) {
	out := hatList("hats#jid", "hats#uri", "hats#title", "hats#hue")
	for _, who := range slices.SortedFunc(maps.Keys(r.hats.worn), compare) {
		for _, uri := range r.hats.worn[who] {
			row := append([]form.Field{{Var: "hats#jid", Values: []string{who.String()}}}, r.hats.row(uri)...)
			out.Items = append(out.Items, row)
		}
	}
	return nil, out, nil
}

func hatList(columns ...string) *form.Form {
	out := form.New("result", formHats)
	for _, c := range columns {
		out.Reported = append(out.Reported, form.Field{Var: c})
	}
	return out
}

func (h hats) row(uri string) []form.Field {
	one := h.all[uri]
	return []form.Field{{Var: "hats#title", Values: []string{one.title}}, {Var: "hats#uri", Values: []string{uri}}, {Var: "hats#hue", Values: []string{one.hue}}}
}
