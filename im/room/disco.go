package room

import (
	"context"
	"strconv"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/rsm"
)

// features are those of every room; the service has the first ones too.
var (
	bothFeatures = []string{disco.InfoSpace, disco.ItemsSpace, spaceMUC, spaceStableID, spaceOccupant, spaceVCard, spacePing}
	roomFeatures = []string{archive.Space, archive.Space + "#extended", archive.SpaceText, "urn:xmpp:sid:0", spaceModerate, spaceRetract,
		spaceRetract + "#tombstone", spaceSelfPing, spaceHats, spaceVersions, spaceCommands, spaceRegister, formRegister, formRequest, formConfig, formInfo}
)

// serviceInfo is XEP-0045 §6.2.
func (rs desk) serviceInfo(q *im.IQ) (*elem.Element, error) {
	if q.Payload.Attr("node") != "" {
		return nil, fail("item-not-found", "there is no such node")
	}
	i := disco.Info{Identities: []disco.Identity{{Category: "conference", Type: "text", Name: rs.live.Load().Name}}}
	i.Features = append(append(i.Features, bothFeatures...), "muc_rooms", spaceUnique, rsm.Space, spaceSearch)
	return i.Element(""), nil
}

// itemsPage is how many rooms one answer lists.
const itemsPage = 200

// serviceItems is XEP-0045 §6.3: the public rooms, in pages.
func (rs desk) serviceItems(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if q.Payload.Attr("node") != "" {
		return nil, fail("item-not-found", "there is no such node")
	}
	set, err := rsm.Read(q.Payload.Child(rsm.Space, "set"))
	if err != nil {
		return nil, err
	}
	if set.Backwards {
		return nil, fail("feature-not-implemented", "the list of rooms is read forwards")
	}
	n := itemsPage
	if set.Max >= 0 {
		n = min(n, set.Max)
	}
	list, err := listed(ctx, rs.DB, rs.Service, set.After, n+1)
	if err != nil {
		return nil, err
	}
	more := len(list) > n
	list = list[:min(n, len(list))]
	out := elem.New(disco.ItemsSpace, "query")
	for _, l := range list {
		name := l.name
		if name == "" {
			name = l.jid.Local()
		}
		out.Add(elem.New(disco.ItemsSpace, "item", "jid", l.jid.String(), "name", name))
	}
	if asked := q.Payload.Child(rsm.Space, "set") != nil; asked || more {
		p := rsm.Page{Count: -1}
		if len(list) > 0 {
			p.First, p.Last = list[0].jid.String(), list[len(list)-1].jid.String()
		}
		out.Add(p.Element())
	}
	return out, nil
}

// roomInfo is XEP-0045 §6.4 and §7.12.
func (rs desk) roomInfo(ctx context.Context, q *im.IQ) (out *elem.Element, err error) {
	node := q.Payload.Attr("node")
	err = rs.inRoom(ctx, q, func(r *room) error {
		switch node {
		case "":
			out = rule{r}.info(q.From).Element("")
		case nodeNick:
			out = elem.New(disco.InfoSpace, "query", "node", node)
			if nick := matching(r.grants, q.From.Bare()).nick; nick != "" {
				out.Add(elem.New(disco.InfoSpace, "identity", "category", "conference", "type", "text", "name", nick))
			}
		case spaceCommands:
			out = disco.Info{Identities: []disco.Identity{{Category: "automation", Type: "command-list"}}, Features: []string{disco.ItemsSpace}}.Element(node)
		case nodeTraffic:
			return fail("service-unavailable", "nothing is left out") // XEP-0045 §18.1.1
		default:
			c, ok := findCommand(node)
			if !ok {
				return fail("item-not-found", "there is no such node")
			}
			out = disco.Info{Identities: []disco.Identity{{Category: "automation", Type: "command-node", Name: c.title}},
				Features: []string{spaceCommands, form.Space}}.Element(node)
		}
		return nil
	})
	return out, err
}

func (r rule) info(from jid.JID) disco.Info {
	name := r.shownName(r.mayRead(from) == nil)
	i := disco.Info{Identities: []disco.Identity{{Category: "conference", Type: "text", Name: name}}}
	i.Features = append(append(i.Features, bothFeatures...), roomFeatures...)
	// XEP-0045 §16.3.
	for _, f := range []struct {
		is      bool
		yes, no string
	}{
		{r.cfg.Hidden, "muc_hidden", "muc_public"},
		{r.cfg.MembersOnly, "muc_membersonly", "muc_open"},
		{r.cfg.Moderated, "muc_moderated", "muc_unmoderated"},
		{r.cfg.NonAnonymous, "muc_nonanonymous", "muc_semianonymous"},
		{r.cfg.PasswordRequired, "muc_passwordprotected", "muc_unsecured"},
		{r.cfg.Persistent, "muc_persistent", "muc_temporary"},
	} {
		if f.is {
			i.Features = append(i.Features, f.yes)
		} else {
			i.Features = append(i.Features, f.no)
		}
	}
	i.Forms = []*form.Form{r.infoForm(from)}
	return i
}

// infoForm is the form of XEP-0045 §6.4; the subject is for who may come in.
func (r rule) infoForm(from jid.JID) *form.Form {
	f := form.New("result", formInfo).
		Add("text-single", "muc#roominfo_description", "Description", r.cfg.Description).
		Add("text-single", "muc#roominfo_lang", "Language of discussions", r.cfg.Lang).
		Add("text-single", "muc#roominfo_occupants", "Number of occupants", strconv.Itoa(len(r.people))).
		Add("text-single", "muc#maxhistoryfetch", "Messages shown to who enters", strconv.Itoa(r.cfg.History)).
		Add("boolean", "muc#roomconfig_changesubject", "Participants may change the subject", flag(r.cfg.ChangeSubject)).
		Add("text-single", "muc#roominfo_slow_mode_duration", "Seconds between two messages of one person", strconv.Itoa(r.cfg.SlowMode))
	if r.mayRead(from) == nil {
		f.Add("text-single", "muc#roominfo_subject", "Subject", r.subject.text())
	}
	if r.cfg.NonAnonymous {
		f.Add("jid-multi", "muc#roominfo_contactjid", "Owners", r.named(Owner)...)
	}
	if h := r.hats.hash(); h != "" {
		f.Add("text-single", "hats#hash", "Hats hash", h) // XEP-0317 §2
	}
	if hashes := avatarHashes(r.vcard); len(hashes) > 0 {
		f.Add("text-multi", "muc#roominfo_avatarhash", "Avatar hash", hashes...) // XEP-0486 §3.3
	}
	return f
}

// text is what the subject says.
func (s *subject) text() string {
	if s.content == nil {
		return ""
	}
	doc := append(append([]byte("<message>"), s.content...), "</message>"...)
	e, err := elem.ParseIn(doc, "jabber:client", nil)
	if err != nil {
		return ""
	}
	return e.ChildText("subject")
}

// roomItems is XEP-0045 §6.5: who is here, for who is here or could come in and see.
func (rs desk) roomItems(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	out := elem.New(disco.ItemsSpace, "query")
	switch node := q.Payload.Attr("node"); node {
	case "":
	case spaceCommands:
		out.Set("node", node)
		return out, rs.inRoom(ctx, q, func(r *room) error {
			rule{r}.commandItems(rs.person(r, q), out)
			return nil
		})
	default:
		return nil, fail("item-not-found", "there is no such node")
	}
	return out, rs.inRoom(ctx, q, func(r *room) error {
		if r.seats[q.Session] == nil && r.mayRead(q.From) != nil {
			return nil
		}
		for _, o := range r.people {
			if !r.cfg.silent(o.role) {
				out.Add(elem.New(disco.ItemsSpace, "item", "jid", o.at.String(), "name", o.nick))
			}
		}
		return nil
	})
}
