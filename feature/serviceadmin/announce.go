package serviceadmin

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// maxText bounds what is said to everybody, in bytes.
const maxText = 16 << 10

// announcements are said once, to whoever is there.
type announcements struct{ admin }

// commands are its commands.
func (a announcements) commands() []im.Command {
	return []im.Command{a.command("announce", "Send Announcement to Online Users", a.announce, fixed("Making an announcement",
		"Everybody who is online gets it, and finds it in the archive.", form.Field{Var: "announcement", Type: "text-multi", Label: "Announcement", Required: true}))}
}

// announce is XEP-0133 §4.23.
func (a announcements) announce(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	text, err := said(c, "announcement")
	if err != nil {
		return nil, err
	}
	n, err := a.tell(ctx, c, c.ID, "Announcement", text)
	if err != nil {
		return nil, err
	}
	return im.Done(fmt.Sprintf("said to %d accounts", n)), nil
}

// tell says something to everybody of the host who has a session. The same id is
// said to nobody twice.
func (a admin) tell(ctx context.Context, c *im.Call, id, subject, text string) (int, error) {
	who := a.standings(c.Host)
	return a.Path.Announce(ctx, iter.Seq[*stanza.Stanza](func(yield func(*stanza.Stanza) bool) {
		for to := range who {
			if !yield(message(c.Host, to, id, subject, text)) {
				return
			}
		}
	}))
}

// said is the text of a field, its lines joined.
func said(c *im.Call, field string) (string, error) {
	text := strings.TrimSpace(strings.Join(c.Values(field), "\n"))
	if text == "" {
		return "", bad("write what is to be said")
	}
	if len(text) > maxText {
		return "", bad("the text is too long: at most %d bytes", maxText)
	}
	return text, nil
}

// message is what a host says to one account.
func message(host, to jid.JID, id, subject, text string) *stanza.Stanza {
	st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.Normal, From: host, To: to, ID: id}
	st.Add(elem.New(stanza.Space, "subject").SetText(subject))
	st.Add(elem.New(stanza.Space, "body").SetText(text))
	// XEP-0359 §2.2: the archive keeps it once, however often it is said.
	return st.Add(elem.New("urn:xmpp:sid:0", "origin-id", "id", id))
}
