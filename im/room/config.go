package room

import (
	"encoding/json"
	"fmt"
)

// Who may send private messages (XEP-0045 §7.5, muc#roomconfig_allowpm).
const (
	pmAnyone       = "anyone"
	pmParticipants = "participants"
	pmModerators   = "moderators"
	pmNone         = "none"
)

// Config is what an owner sets of a room (XEP-0045 §10.2, §16.5.3).
type Config struct {
	Name             string `json:"name,omitempty"`
	Description      string `json:"description,omitempty"`
	Lang             string `json:"lang,omitempty"`
	Persistent       bool   `json:"persistent,omitempty"`
	Hidden           bool   `json:"hidden,omitempty"`
	MembersOnly      bool   `json:"members_only,omitempty"`
	Moderated        bool   `json:"moderated,omitempty"`
	PasswordRequired bool   `json:"password_required,omitempty"`
	Password         string `json:"password,omitempty"`
	NonAnonymous     bool   `json:"non_anonymous,omitempty"`
	ChangeSubject    bool   `json:"change_subject,omitempty"`
	AllowInvites     bool   `json:"allow_invites,omitempty"`
	Logged           bool   `json:"logged,omitempty"`
	PrivateMessages  string `json:"private_messages,omitempty"`
	MaxUsers         int    `json:"max_users,omitempty"` // 0: as many as the service allows
	History          int    `json:"history"`
	// SilentRoles are those whose presence is not broadcast, MemberListRoles those
	// that may read the member list in a room that shows addresses; bit 1<<Role.
	SilentRoles     uint8  `json:"silent_roles,omitempty"`
	MemberListRoles uint8  `json:"member_list_roles,omitempty"`
	Group           bool   `json:"group,omitempty"`        // made as one: called by its people until it has a name
	Registration    string `json:"registration,omitempty"` // empty: registerOpen
	SlowMode        int    `json:"slow_mode,omitempty"`    // seconds between messages (XEP-0500)
}

const allRoles = 1<<Visitor | 1<<Participant | 1<<Moderator

// silent says that presence of a role is not broadcast.
func (c *Config) silent(r Role) bool { return c.SilentRoles&(1<<r) != 0 }

// mayInvite says who may send mediated invitations (XEP-0045 §7.8.2).
func (c *Config) mayInvite(w who) bool {
	return w.affiliation >= Admin || w.role == Moderator || c.AllowInvites && w.role >= Visitor
}

// mayWhisper is muc#roomconfig_allowpm.
func (c *Config) mayWhisper(r Role) bool {
	switch c.PrivateMessages {
	case pmNone:
		return false
	case pmModerators:
		return r >= Moderator
	case pmParticipants:
		return r >= Participant
	}
	return true
}

func (c *Config) encode() (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("room: configuration: %w", err)
	}
	return string(b), nil
}

func decodeConfig(text string) (c Config, err error) {
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, fmt.Errorf("room: configuration: %w", err)
	}
	return c, nil
}
