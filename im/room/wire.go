package room

import (
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Namespaces (XEP-0045 §16.1 and those of the specifications beside it).
const (
	spaceMUC      = "http://jabber.org/protocol/muc"
	spaceUser     = "http://jabber.org/protocol/muc#user"
	spaceAdmin    = "http://jabber.org/protocol/muc#admin"
	spaceOwner    = "http://jabber.org/protocol/muc#owner"
	formConfig    = "http://jabber.org/protocol/muc#roomconfig"
	formInfo      = "http://jabber.org/protocol/muc#roominfo"
	formRequest   = "http://jabber.org/protocol/muc#request"
	formRegister  = "http://jabber.org/protocol/muc#register"
	spaceRegister = "jabber:iq:register"
	spaceOccupant = "urn:xmpp:occupant-id:0"
	spaceRetract  = "urn:xmpp:message-retract:1"
	spaceModerate = "urn:xmpp:message-moderate:1"
	spaceSelfPing = "http://jabber.org/protocol/muc#self-ping-optimization"
	spaceStableID = "http://jabber.org/protocol/muc#stable_id"
	spacePing     = "urn:xmpp:ping"
	spaceVCard    = "vcard-temp"
	spaceDirect   = "jabber:x:conference"
	nodeNick      = "x-roomuser-item"
	nodeTraffic   = "http://jabber.org/protocol/muc#traffic"
)

// Status codes (XEP-0045 §16.6.2).
const (
	codeNonAnonymous = "100" // the occupant's full JID is seen by all
	codeConfig       = "104"
	codeSelf         = "110"
	codeLogged       = "170"
	codeNotLogged    = "171"
	codeNowNonAnon   = "172"
	codeNowSemiAnon  = "173"
	codeCreated      = "201"
	codeNickChanged  = "210" // by the service
	codeBanned       = "301"
	codeNewNick      = "303"
	codeKicked       = "307"
	codeAffiliation  = "321" // removed by a change of affiliation
	codeMembersOnly  = "322" // removed because the room has become members-only
	codeShutdown     = "332"
	codeTechnical    = "333"
)

// fail makes a stanza error in few words.
func fail(condition, text string) *stanza.Error { return stanza.Fail(condition, text) }

// errNoRoom answers who addresses a room there is not (XEP-0045 §17.2).
func errNoRoom() *stanza.Error { return fail("item-not-found", "there is no such room") }

// errForbidden is for what one's role or affiliation does not allow.
func errForbidden(text string) *stanza.Error { return fail("forbidden", text) }

// errOutside answers who is not in the room (XEP-0045 §7.4, §7.5).
func errOutside() *stanza.Error { return fail("not-acceptable", "you are not in this room") }

// without is a stanza's content but for some children. What stands between
// children is left out: no stanza has text there that means anything.
func without(st *stanza.Stanza, drop func(space, local string) bool) *stanza.Stanza {
	out := &stanza.Stanza{Kind: st.Kind, Type: st.Type, ID: st.ID, Lang: st.Lang, NoLang: st.NoLang, Decls: st.Decls}
	out.Content = make([]byte, 0, len(st.Content)+192)
	for _, k := range st.Kids {
		if drop(k.Space, k.Local) {
			continue
		}
		shift := len(out.Content) - k.Outer.Start
		out.Content = append(out.Content, st.Content[k.Outer.Start:k.Outer.End]...)
		out.Kids = append(out.Kids, stanza.Kid{Space: k.Space, Local: k.Local,
			Outer: elem.Span{Start: k.Outer.Start + shift, End: k.Outer.End + shift},
			Inner: elem.Span{Start: k.Inner.Start + shift, End: k.Inner.End + shift}})
	}
	return out
}

// roomOnly says which children only a room writes (XEP-0045 §17.3, XEP-0313
// §8.4, XEP-0317), or only it reads.
func roomOnly(space, local string) bool {
	return local == "x" && (space == spaceUser || space == spaceMUC) || local == "hats" && space == spaceHats
}

// appendOccupantID writes XEP-0421 §3.
func appendOccupantID(dst []byte, id string) []byte {
	dst = append(dst, `<occupant-id xmlns="urn:xmpp:occupant-id:0"`...)
	dst = elem.AppendAttr(dst, "id", id)
	return append(dst, '/', '>')
}

// item is <item/> of muc#user or muc#admin.
func item(space string, a Affiliation, r Role) *elem.Element {
	return elem.New(space, "item", "affiliation", a.String(), "role", r.String())
}

// userX is <x/> of muc#user with status codes behind its children.
func userX(codes []string, kids ...*elem.Element) *elem.Element {
	x := elem.New(spaceUser, "x").Add(kids...)
	for _, c := range codes {
		x.Add(elem.New(spaceUser, "status", "code", c))
	}
	return x
}

// why is who did something and the reason he gave, as children of an item.
type why struct {
	nick   string // of who did it; empty: not told
	reason string
	step   step // XEP-0463: what it means for the affiliations' version
}

func (w why) addTo(e *elem.Element) *elem.Element {
	if w.nick != "" {
		e.Add(elem.New(e.Space, "actor", "nick", w.nick))
	}
	if w.reason != "" {
		e.Add(elem.New(e.Space, "reason").SetText(w.reason))
	}
	return e
}
