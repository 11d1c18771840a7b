package archive

import (
	"fmt"
	"strings"
)

// A record says itself in whose archives it is seen, so that its view rows can
// be made again: words of a flags digit and whose, > for the recipient's
// account, < for the sender's, =address for anybody else. "3> 1<" is a chat.

func viewsText(e *Entry) string {
	if e.Held {
		return ""
	}
	var room [64]byte
	b := room[:0]
	for i, v := range e.Views {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, '0'+byte(v.Flags))
		switch v.Owner {
		case e.Recipient.Bare():
			b = append(b, '>')
		case e.Sender.Bare():
			b = append(b, '<')
		default:
			b = append(b, '=')
			b = append(b, v.Owner.String()...) // no space in a bare address (RFC 7622 §3.3.1)
		}
	}
	return string(b)
}

func parseViews(text, sender, recipient string) ([]ownerFlags, error) {
	var out []ownerFlags
	for word := range strings.FieldsSeq(text) {
		if len(word) < 2 || word[0] < '0' || word[0] > '3' {
			return nil, fmt.Errorf("archive: views %q", text)
		}
		v := ownerFlags{flags: int64(word[0] - '0')}
		switch word[1] {
		case '>':
			v.owner = bare(recipient)
		case '<':
			v.owner = bare(sender)
		default:
			v.owner = word[2:]
		}
		out = append(out, v)
	}
	return out, nil
}

// bare cuts a stored, so canonical, address.
func bare(full string) string {
	account, _, _ := strings.Cut(full, "/")
	return account
}

func ownersOf(e *Entry) []ownerFlags {
	if e.Held {
		return nil
	}
	out := make([]ownerFlags, len(e.Views))
	for i, v := range e.Views {
		out[i] = ownerFlags{v.Owner.String(), v.Flags}
	}
	return out
}
