package people

import (
	"bytes"
	"slices"
	"strings"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// anyField looks everywhere. XEP-0068 §3.2: what is not registered begins with x-.
const anyField = "x-search"

// shortest word in bytes; a name of one letter is a name in other scripts.
const shortest = 2

type column struct{ name, label string }

// columns are the fields XEP-0055 §7.2 has.
func columns() []column {
	return []column{{"first", "Given Name"}, {"last", "Family Name"}, {"nick", "Nickname"}, {"email", "Email Address"}}
}

// person is somebody as the search sees them.
type person struct {
	jid                      jid.JID
	name, first, last, nicks string
	mails                    []string
}

// readPerson reads a card; where it says nothing the account's name and address do.
func readPerson(a Account) person {
	p := person{jid: a.JID, name: a.Name}
	if card, err := elem.Parse(a.Card); err == nil && len(a.Card) > 0 {
		if full := card.ChildText("FN"); full != "" {
			p.name = strings.TrimSpace(full + " " + unlike(a.Name, full))
		}
		if n := card.Child(card.Space, "N"); n != nil {
			p.first, p.last = n.ChildText("GIVEN"), n.ChildText("FAMILY")
		}
		p.nicks = card.ChildText("NICKNAME")
		for _, c := range card.Children {
			if c.Local == "EMAIL" {
				if m := strings.TrimSpace(c.ChildText("USERID") + c.Text); m != "" {
					p.mails = append(p.mails, m)
				}
			}
		}
	}
	if p.first == "" && p.last == "" {
		// XEP-0055 §4: only a card can tell which is which where the family's name comes first.
		p.first, p.last, _ = strings.Cut(p.name, " ")
	}
	return p
}

// unlike gives a name that says something else than another.
func unlike(name, other string) string {
	if name == other {
		return ""
	}
	return name
}

// nick is what is shown as such.
func (p person) nick() string {
	if p.nicks != "" {
		return p.nicks
	}
	return p.jid.Local()
}

func (p person) values() []string {
	mail := ""
	if len(p.mails) > 0 {
		mail = p.mails[0]
	}
	return []string{p.first, p.last, p.nick(), mail}
}

// wanting is a search: by field the words that must all be in it.
type wanting map[string][]string

// readWanting reads a submitted form, or the fields without one.
func readWanting(payload *elem.Element) (w wanting, isForm bool, err error) {
	w = wanting{}
	if x := payload.Child(form.Space, "x"); x != nil {
		f := form.Read(x)
		if f.Kind() != Space || f.Type != "submit" {
			return nil, true, stanza.Fail("bad-request", "this is not the form of a search")
		}
		for _, name := range fields() {
			text, _ := f.Value(name)
			w.add(name, text)
		}
		return w, true, nil
	}
	for _, c := range columns() {
		w.add(c.name, payload.ChildText(c.name))
	}
	return w, false, nil
}

func fields() []string {
	out := []string{anyField}
	for _, c := range columns() {
		out = append(out, c.name)
	}
	return out
}

// add cuts a value into words. Some clients put stars around them.
func (w wanting) add(name, text string) {
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		if word = strings.Trim(word, "*%"); len(word) >= shortest {
			w[name] = append(w[name], word)
		}
	}
}

func (w wanting) nothing() bool { return len(w) == 0 }

// may says whether somebody can fit at all, without reading the card: most can't.
func (w wanting) may(a Account) bool {
	card := bytes.ToLower(a.Card)
	if bytes.Contains(card, []byte("&")) {
		return true // words may be written otherwise
	}
	account := strings.ToLower(a.Name + " " + a.JID.String())
	for _, words := range w {
		for _, word := range words {
			if !strings.Contains(account, word) && !bytes.Contains(card, []byte(word)) && !strings.ContainsAny(word, `&<>'"`) {
				return false
			}
		}
	}
	return true
}

func (w wanting) fits(p person) bool {
	for name, words := range w {
		text := strings.ToLower(strings.Join(p.in(name), "\n"))
		if slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) }) {
			return false
		}
	}
	return true
}

// in gives what a field is compared with.
func (p person) in(field string) []string {
	switch field {
	case "first":
		return []string{p.first}
	case "last":
		return []string{p.last}
	case "nick":
		return []string{p.nicks, p.jid.Local()}
	case "email":
		return p.mails
	}
	return append([]string{p.name, p.first, p.last, p.nicks, p.jid.String()}, p.mails...)
}

// items is the answer without a form (XEP-0055 §2.1); no children if there is nobody.
func items(found []person) (out []*elem.Element) {
	for _, p := range found {
		item := elem.New(Space, "item", "jid", p.jid.String())
		for i, v := range p.values() {
			item.Add(elem.New(Space, columns()[i].name).SetText(v))
		}
		out = append(out, item)
	}
	return out
}

// table is the answer to a form (XEP-0055 §3).
func table(found []person) *elem.Element {
	f := form.New("result", Space)
	f.Reported = []form.Field{{Var: "jid", Type: "jid-single", Label: "Address"}}
	for _, c := range columns() {
		f.Reported = append(f.Reported, form.Field{Var: c.name, Type: "text-single", Label: c.label})
	}
	for _, p := range found {
		item := []form.Field{{Var: "jid", Values: []string{p.jid.String()}}}
		for i, v := range p.values() {
			item = append(item, form.Field{Var: columns()[i].name, Values: []string{v}})
		}
		f.Items = append(f.Items, item)
	}
	return f.Element()
}
