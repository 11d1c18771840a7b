package room

import "github.com/parlance-im/parlance/xmpp/jid"

// Affiliation is a lasting relation of an account to a room (XEP-0045 §5.2), in
// rising order of what it allows.
type Affiliation uint8

// The affiliations; their numbers stand in the data set.
const (
	Outcast Affiliation = iota
	None
	Member
	Admin
	Owner
)

var affiliations = [...]string{"outcast", "none", "member", "admin", "owner"}

func (a Affiliation) String() string { return affiliations[a] }

func parseAffiliation(s string) (Affiliation, bool) {
	for i, n := range affiliations {
		if n == s {
			return Affiliation(i), true
		}
	}
	return None, false
}

// Role is what an occupant may do during a visit (XEP-0045 §5.1), in rising order.
type Role uint8

// The roles.
const (
	NoRole Role = iota
	Visitor
	Participant
	Moderator
)

var roles = [...]string{"none", "visitor", "participant", "moderator"}

func (r Role) String() string { return roles[r] }

func parseRole(s string) (Role, bool) {
	for i, n := range roles {
		if n == s {
			return Role(i), true
		}
	}
	return NoRole, false
}

// initialRole is the table of XEP-0045 §5.1.2.
func initialRole(a Affiliation, c *Config) Role {
	switch {
	case a >= Admin:
		return Moderator
	case a == Member:
		return Participant
	case a == Outcast:
		return NoRole
	case c.Moderated:
		return Visitor
	}
	return Participant
}

// grant is what a room keeps about an account or a domain.
type grant struct {
	affiliation Affiliation
	nick        string // reserved
	reason      string
}

// mayGrant is XEP-0045 §5.2.2, §9 and §10: whether somebody of one affiliation
// may change another's from one to another. self says that it is his own.
func mayGrant(by, from, to Affiliation, self bool) error {
	switch {
	case by < Admin:
		return errForbidden("only admins and owners change affiliations")
	case self && to == Outcast:
		return fail("conflict", "you can't ban yourself") // XEP-0045 §9.1
	case by == Owner:
		return nil
	case from > Member && to == Outcast:
		return fail("not-allowed", "only an owner bans admins and owners") // XEP-0045 §9.1
	case self && from == Admin && to < Admin:
		return nil // an admin may step down
	case from > Member || to > Member:
		return errForbidden("only owners change the lists of admins and owners") // XEP-0045 §10.5, §10.8
	}
	return nil
}

// who is a side of a change of role.
type who struct {
	role        Role
	affiliation Affiliation
}

// mayAssign is XEP-0045 §5.1.3, §8 and §9: whether one occupant may give another a role.
func mayAssign(by, target who, to Role, self bool) error {
	switch {
	case by.role != Moderator && by.affiliation < Admin:
		return errForbidden("only moderators change roles")
	case to == NoRole: // kick, XEP-0045 §8.2
		if self {
			return nil
		}
		if target.affiliation > by.affiliation {
			return fail("not-allowed", "you can't remove somebody of a higher affiliation")
		}
		// XEP-0045 §5.1.3: a moderator is removed by an admin or an owner.
		if target.role == Moderator && by.affiliation < Admin {
			return fail("not-allowed", "only admins and owners remove a moderator")
		}
		return nil
	case to == Visitor && target.affiliation >= Admin: // XEP-0045 §5.1.1, §8.4: by nobody
		return fail("not-allowed", "admins and owners keep their voice")
	case target.role == Moderator && to != Moderator && target.affiliation > by.affiliation: // XEP-0045 §5.1.3, §9.7
		return fail("not-allowed", "you can't take the role of somebody of a higher affiliation")
	case to == Moderator || target.role == Moderator: // XEP-0045 §9.6, §9.7
		if by.affiliation < Admin {
			return fail("forbidden", "only admins and owners change the list of moderators")
		}
		if target.affiliation >= Admin && to != Moderator {
			return fail("not-allowed", "admins and owners are moderators")
		}
	case to == Visitor: // XEP-0045 §8.4
		if target.affiliation >= by.affiliation && by.affiliation < Admin && target.affiliation != None {
			return fail("not-allowed", "you can't take the voice of somebody of your own or a higher affiliation")
		}
	}
	return nil
}

// matching gives an account's grant: its own, else its domain's (XEP-0045 §9.2).
func matching(grants map[jid.JID]grant, bare jid.JID) grant {
	if g, ok := grants[bare]; ok && g.affiliation != None {
		return g
	} else if ok {
		d := matchDomain(grants, bare)
		d.nick = g.nick
		return d
	}
	return matchDomain(grants, bare)
}

func matchDomain(grants map[jid.JID]grant, bare jid.JID) grant {
	if g, ok := grants[bare.DomainJID()]; ok {
		g.nick = ""
		return g
	}
	return grant{affiliation: None}
}
