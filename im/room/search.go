package room

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/rsm"
)

// Namespaces of XEP-0433.
const (
	spaceSearch  = "urn:xmpp:channel-search:0:search"
	formSearch   = "urn:xmpp:channel-search:0:search-params"
	spaceErrors  = "urn:xmpp:channel-search:0:error"
	byUsers      = "{urn:xmpp:channel-search:0:order}nusers"
	byAddress    = "{urn:xmpp:channel-search:0:order}address"
	openAnon     = "{urn:xmpp:channel-search:0:anonymity}none"
	searchPage   = 50
	searchMost   = 20_000 // rooms looked through
	typeXEP0045  = "xep-0045"
	shortestTerm = 2
)

// wanting is a search as submitted (XEP-0433 §6.1).
type wanting struct {
	terms                      []string
	all                        bool
	inName, inText, inAddress  bool
	least                      int
	key                        string
	none                       bool // of a type of service there is not here
	conflict, badKey, badTerms bool
}

// found is one room that fits.
type found struct {
	listing
	users int
}

// search is XEP-0433 §4.2.
func (rs desk) search(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	x := q.Payload.Child(form.Space, "x")
	if x == nil {
		return elem.New(spaceSearch, "search").Add(searchForm()), nil
	}
	f := form.Read(x)
	if f.Kind() != formSearch {
		return nil, fail("bad-request", "this is not the form of a search")
	}
	w := readWanting(f)
	if err := w.refuse(); err != nil {
		return nil, err
	}
	set, err := rsm.Read(q.Payload.Child(rsm.Space, "set"))
	if err != nil {
		return nil, err
	}
	if set.Backwards {
		return nil, fail("feature-not-implemented", "a search is read forwards")
	}
	fits, err := rs.fitting(ctx, &w)
	if err != nil {
		return nil, err
	}
	return page(fits, set), nil
}

func searchForm() *elem.Element {
	return titled(formSearch, "Search for rooms", "").Add(
		field("text-single", "q", "Search for", nil),
		field("boolean", "all", "Return all entries", nil, "0"),
		field("boolean", "sinname", "Search in the name", nil, "1"),
		field("boolean", "sindescription", "Search in the description", nil, "1"),
		field("boolean", "sinaddress", "Search in the address", nil, "1"),
		field("text-single", "min_users", "Fewest people in the room", nil, "0"),
		field("list-multi", "types", "Kinds of service", []option{{typeXEP0045, "Rooms"}}, typeXEP0045),
		field("list-single", "key", "Sort by", []option{{byUsers, "People in the room"}, {byAddress, "Address"}}, byUsers))
}

func readWanting(f *form.Form) (w wanting) {
	is := func(name string, otherwise bool) bool {
		switch v, _ := f.Value(name); v {
		case "1", "true":
			return true
		case "0", "false":
			return false
		}
		return otherwise
	}
	text, asked := f.Value("q")
	w.all = is("all", false)
	w.inName, w.inText = is("sinname", true), is("sindescription", true)
	w.inAddress = is("sinaddress", true) && is("sinaddr", true)
	for term := range strings.FieldsSeq(strings.ToLower(text)) {
		if len(term) >= shortestTerm {
			w.terms = append(w.terms, term)
		}
	}
	w.conflict = w.all && strings.TrimSpace(text) != ""
	w.badTerms = !w.all && asked && len(w.terms) == 0 || !w.all && !asked
	if w.key, _ = f.Value("key"); w.key == "" {
		w.key = byUsers
	}
	w.badKey = w.key != byUsers && w.key != byAddress
	if types := f.Values("types"); len(types) > 0 {
		w.none = !slices.Contains(types, typeXEP0045)
	}
	if v, ok := f.Value("min_users"); ok {
		w.least, _ = strconv.Atoi(v)
	}
	return w
}

// refuse is XEP-0433 §4.2.2.2, §4.2.2.3 and §4.2.2.6.
func (w *wanting) refuse() error {
	say := func(condition, app, text string) error {
		e := *fail(condition, text)
		e.Type, e.App = "modify", elem.New(spaceErrors, app)
		return &e
	}
	switch {
	case w.badKey:
		return say("feature-not-implemented", "invalid-sort-key", "rooms are sorted by address or by people")
	case w.conflict:
		return say("bad-request", "conflicting-fields", "either all rooms or those with certain words")
	case w.badTerms:
		return say("bad-request", "invalid-search-terms", "a word of two letters at least is needed")
	}
	return nil
}

// fitting are the public rooms that fit, in order.
func (rs desk) fitting(ctx context.Context, w *wanting) (out []found, err error) {
	if w.none {
		return nil, nil
	}
	after := ""
	for range searchMost / itemsPage {
		list, err := listed(ctx, rs.DB, rs.Service, after, itemsPage)
		if err != nil {
			return nil, err
		}
		for _, l := range list {
			f := found{listing: l}
			rs.peek(l.jid, func(r *room) { f.users = len(r.people) })
			if f.users >= w.least && w.fits(&l) {
				out = append(out, f)
			}
		}
		if len(list) < itemsPage {
			break
		}
		after = list[len(list)-1].jid.String()
	}
	slices.SortFunc(out, func(a, b found) int {
		if w.key == byUsers && a.users != b.users {
			return cmp.Compare(b.users, a.users)
		}
		return compare(a.jid, b.jid)
	})
	return out, nil
}

// fits says whether every word is in one of the texts that are looked at.
func (w *wanting) fits(l *listing) bool {
	for _, term := range w.terms {
		in := w.inName && strings.Contains(strings.ToLower(l.name), term) ||
			w.inText && strings.Contains(strings.ToLower(l.config.Description), term) ||
			w.inAddress && strings.Contains(l.jid.String(), term)
		if !in {
			return false
		}
	}
	return true
}

// page is the part of a result that was asked for.
func page(all []found, set rsm.Request) *elem.Element {
	if set.After != "" {
		i := slices.IndexFunc(all, func(f found) bool { return f.jid.String() == set.After })
		all = all[i+1:]
	}
	n := searchPage
	if set.Max >= 0 {
		n = min(n, set.Max)
	}
	all = all[:min(n, len(all))]
	out := elem.New(spaceSearch, "result")
	for i := range all {
		out.Add(all[i].element())
	}
	p := rsm.Page{Count: -1}
	if len(all) > 0 {
		p.First, p.Last = all[0].jid.String(), all[len(all)-1].jid.String()
	}
	return out.Add(p.Element())
}

// element is XEP-0433 §6.2.
func (f *found) element() *elem.Element {
	it := elem.New(spaceSearch, "item", "address", f.jid.String())
	add := func(name, text string) {
		if text != "" {
			it.Add(elem.New(spaceSearch, name).SetText(text))
		}
	}
	add("name", cmp.Or(f.name, f.jid.Local()))
	add("description", f.config.Description)
	add("language", f.config.Lang)
	add("nusers", strconv.Itoa(f.users))
	add("service-type", typeXEP0045)
	if !f.config.MembersOnly && !f.config.PasswordRequired {
		it.Add(elem.New(spaceSearch, "is-open"))
	}
	anonymity := "muc_semianonymous"
	if f.config.NonAnonymous {
		anonymity = openAnon
	}
	add("anonymity-mode", anonymity)
	return it
}
