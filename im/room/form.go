package room

import (
	"slices"
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// option is one choice of a list field.
type option struct{ value, label string }

// field is a form field with what im/form's fields have no place for: the
// choices (XEP-0004 §3.2).
func field(typ, name, label string, options []option, values ...string) *elem.Element {
	f := elem.New(form.Space, "field", "var", name, "type", typ, "label", label)
	for _, v := range values {
		f.Add(elem.New(form.Space, "value").SetText(v))
	}
	for _, o := range options {
		f.Add(elem.New(form.Space, "option", "label", o.label).Add(elem.New(form.Space, "value").SetText(o.value)))
	}
	return f
}

// titled is an empty form to fill in.
func titled(formType, title, instructions string) *elem.Element {
	x := elem.New(form.Space, "x", "type", "form").Add(elem.New(form.Space, "title").SetText(title))
	if instructions != "" {
		x.Add(elem.New(form.Space, "instructions").SetText(instructions))
	}
	f := elem.New(form.Space, "field", "var", "FORM_TYPE", "type", "hidden")
	return x.Add(f.Add(elem.New(form.Space, "value").SetText(formType)))
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

var (
	whoisOptions    = []option{{"moderators", "Moderators only"}, {"anyone", "Anyone"}}
	pmOptions       = []option{{pmAnyone, "Anyone"}, {pmParticipants, "Anyone with voice"}, {pmModerators, "Moderators only"}, {pmNone, "Nobody"}}
	roleOptions     = []option{{"moderator", "Moderator"}, {"participant", "Participant"}, {"visitor", "Visitor"}}
	registerOptions = []option{{registerOpen, "Everybody, if the room is open"}, {registerApprove, "Whom an admin approves"}, {registerNobody, "Nobody"}}
	maxOptions      = []option{{"10", "10"}, {"20", "20"}, {"30", "30"}, {"50", "50"}, {"100", "100"}, {"500", "500"}, {"none", "None"}}
)

// form is the configuration form of XEP-0045 §10.2.
func (c *Config) form(room jid.JID, owners, admins []string) *elem.Element {
	whois, most := "moderators", "none"
	if c.NonAnonymous {
		whois = "anyone"
	}
	if c.MaxUsers > 0 {
		most = strconv.Itoa(c.MaxUsers)
	}
	options := maxOptions
	if !slices.ContainsFunc(options, func(o option) bool { return o.value == most }) {
		options = append([]option{{most, most}}, options...)
	}
	slow := field("text-single", "muc#roomconfig_slow_mode_duration", "Seconds between two messages of one person (0: no limit)", nil, strconv.Itoa(c.SlowMode))
	// XEP-0500 §5.1: the field is validated.
	slow.Add(elem.New("http://jabber.org/protocol/xdata-validate", "validate", "datatype", "xs:integer").
		Add(elem.New("http://jabber.org/protocol/xdata-validate", "range", "min", "0")))
	return titled(formConfig, "Configuration of "+room.Local(), "").Add(
		field("text-single", "muc#roomconfig_roomname", "Name", nil, c.Name),
		field("text-single", "muc#roomconfig_roomdesc", "Description", nil, c.Description),
		field("text-single", "muc#roomconfig_lang", "Language of discussions", nil, c.Lang),
		field("boolean", "muc#roomconfig_persistentroom", "Keep the room when nobody is in it", nil, flag(c.Persistent)),
		field("boolean", "muc#roomconfig_publicroom", "Show the room in the list of rooms", nil, flag(!c.Hidden)),
		field("boolean", "muc#roomconfig_membersonly", "Only members may enter", nil, flag(c.MembersOnly)),
		field("boolean", "muc#roomconfig_moderatedroom", "Only those who were given voice may speak", nil, flag(c.Moderated)),
		field("boolean", "muc#roomconfig_passwordprotectedroom", "A password is needed to enter", nil, flag(c.PasswordRequired)),
		field("text-private", "muc#roomconfig_roomsecret", "Password", nil, c.Password),
		field("list-single", "muc#roomconfig_whois", "Who sees real addresses", whoisOptions, whois),
		field("list-single", "muc#roomconfig_maxusers", "Most people at once", options, most),
		field("boolean", "muc#roomconfig_changesubject", "Participants may change the subject", nil, flag(c.ChangeSubject)),
		field("boolean", "muc#roomconfig_allowinvites", "Occupants may invite others", nil, flag(c.AllowInvites)),
		field("list-single", "muc#roomconfig_allowpm", "Who may send private messages", pmOptions, c.pm()),
		field("boolean", "muc#roomconfig_enablelogging", "Conversations are logged for the public", nil, flag(c.Logged)),
		field("list-multi", "muc#roomconfig_presencebroadcast", "Whose presence is shown", roleOptions, roleNames(allRoles&^c.SilentRoles)...),
		field("list-multi", "muc#roomconfig_getmemberlist", "Who may read the list of members", roleOptions, roleNames(c.MemberListRoles)...),
		field("text-single", "muc#maxhistoryfetch", "Messages shown to who enters", nil, strconv.Itoa(c.History)),
		slow,
		field("list-single", fieldRegister, "Who may register as a member", registerOptions, c.registration()),
		field("jid-multi", "muc#roomconfig_roomadmins", "All admins", nil, admins...),
		field("jid-multi", "muc#roomconfig_roomowners", "All owners", nil, owners...))
}

func (c *Config) pm() string {
	if c.PrivateMessages == "" {
		return pmAnyone
	}
	return c.PrivateMessages
}

func (c *Config) registration() string {
	if c.Registration == "" {
		return registerOpen
	}
	return c.Registration
}

func roleNames(bits uint8) (out []string) {
	for r := Moderator; r >= Visitor; r-- {
		if bits&(1<<r) != 0 {
			out = append(out, r.String())
		}
	}
	return out
}

// lists are the owners and admins a form names; nil where it does not.
type lists struct{ owners, admins []jid.JID }

// most bounds of what an owner may set.
const (
	maxText    = 1024
	maxPeople  = 1000 // in a list of a form
	maxSlow    = 24 * 3600
	maxUserSet = 100_000
)

// submitted is the configuration with what a submitted form changes (XEP-0045
// §10.2): fields it leaves out stay as they are.
func (c Config) submitted(f *form.Form, history int) (Config, lists, error) {
	var l lists
	for i := range f.Fields {
		fd := &f.Fields[i]
		var err error
		switch fd.Var {
		case "muc#roomconfig_roomadmins":
			l.admins, err = people(fd.Values)
		case "muc#roomconfig_roomowners":
			l.owners, err = people(fd.Values)
		default:
			err = c.set(fd, history)
		}
		if err != nil {
			return c, l, err
		}
	}
	if c.PasswordRequired && c.Password == "" {
		// XEP-0045 §10.1.3: a password that is needed and not there.
		return c, l, fail("not-acceptable", "a room that needs a password needs one")
	}
	return c, l, nil
}

// set takes one field over.
func (c *Config) set(fd *form.Field, history int) error {
	v := ""
	if len(fd.Values) > 0 {
		v = strings.Join(fd.Values, "\n")
	}
	if len(v) > maxText {
		return fail("not-acceptable", "a field of the form is too long")
	}
	switch fd.Var {
	case "muc#roomconfig_roomname":
		c.Name = v
	case "muc#roomconfig_roomdesc":
		c.Description = v
	case "muc#roomconfig_lang":
		c.Lang = v
	case "muc#roomconfig_roomsecret":
		c.Password = v
	case "muc#roomconfig_whois":
		return oneOf(v, whoisOptions, func() { c.NonAnonymous = v == "anyone" })
	case fieldRegister:
		return oneOf(v, registerOptions, func() { c.Registration = v })
	case "muc#roomconfig_allowpm":
		return oneOf(v, pmOptions, func() { c.PrivateMessages = v })
	case "muc#roomconfig_presencebroadcast":
		bits, err := roleBits(fd.Values)
		c.SilentRoles = allRoles &^ bits
		return err
	case "muc#roomconfig_getmemberlist":
		bits, err := roleBits(fd.Values)
		c.MemberListRoles = bits
		return err
	case "muc#roomconfig_maxusers":
		if v == "none" || v == "" || v == "0" {
			c.MaxUsers = 0
			return nil
		}
		return number(v, 1, maxUserSet, &c.MaxUsers)
	case "muc#maxhistoryfetch":
		return number(v, 0, history, &c.History)
	case "muc#roomconfig_slow_mode_duration":
		return number(v, 0, maxSlow, &c.SlowMode)
	default:
		return c.setFlag(fd.Var, v)
	}
	return nil
}

// setFlag takes a boolean field over; one that is not known is left alone
// (XEP-0004 §3.2: a client sends back what it was given, and may send more).
func (c *Config) setFlag(name, v string) error {
	var at *bool
	invert := false
	switch name {
	case "muc#roomconfig_persistentroom":
		at = &c.Persistent
	case "muc#roomconfig_publicroom":
		at, invert = &c.Hidden, true
	case "muc#roomconfig_membersonly":
		at = &c.MembersOnly
	case "muc#roomconfig_moderatedroom":
		at = &c.Moderated
	case "muc#roomconfig_passwordprotectedroom":
		at = &c.PasswordRequired
	case "muc#roomconfig_changesubject":
		at = &c.ChangeSubject
	case "muc#roomconfig_allowinvites":
		at = &c.AllowInvites
	case "muc#roomconfig_enablelogging":
		at = &c.Logged
	default:
		return nil
	}
	switch v {
	case "1", "true":
		*at = !invert
	case "0", "false", "":
		*at = invert
	default:
		return fail("not-acceptable", name+" is true or false")
	}
	return nil
}

func oneOf(v string, options []option, take func()) error {
	for _, o := range options {
		if o.value == v {
			take()
			return nil
		}
	}
	return fail("not-acceptable", strconv.Quote(v)+" is not one of the choices")
}

func number(v string, low, high int, at *int) error {
	n, err := strconv.Atoi(strings.TrimSpace(v))
	if err != nil || n < low {
		return fail("not-acceptable", "a number is needed, not "+strconv.Quote(v))
	}
	*at = min(n, high)
	return nil
}

func roleBits(values []string) (bits uint8, err error) {
	for _, v := range values {
		r, ok := parseRole(v)
		if !ok || r == NoRole {
			return 0, fail("not-acceptable", strconv.Quote(v)+" is not a role")
		}
		bits |= 1 << r
	}
	return bits, nil
}

// people reads a list of addresses, one a value or a line.
func people(values []string) ([]jid.JID, error) {
	out := []jid.JID{}
	for _, v := range values {
		for line := range strings.FieldsSeq(v) {
			j, err := jid.Parse(line)
			if err != nil || len(out) == maxPeople {
				return nil, fail("jid-malformed", strconv.Quote(line)+" is not an address, or there are too many")
			}
			out = append(out, j.Bare())
		}
	}
	return out, nil
}
