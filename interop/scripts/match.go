package scripts

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/parlance-im/parlance/interop/client"
)

// vars are the names a script can use in braces.
type vars map[string]string

// fill puts variables into text that is sent.
func (v vars) fill(s string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	old := make([]string, 0, 2*len(v))
	for k, val := range v {
		old = append(old, "{"+k+"}", val)
	}
	return strings.NewReplacer(old...).Replace(s)
}

// value compares one attribute value or text.
func (v vars) value(want, got string) error {
	switch {
	case want == "{any}":
		return nil
	case strings.HasPrefix(want, "{scan:") && strings.HasSuffix(want, "}"):
		v[want[6:len(want)-1]] = got
		return nil
	case strings.HasPrefix(want, "{any of: ") && strings.HasSuffix(want, "}"):
		for _, alt := range strings.Split(want[9:len(want)-1], "|") {
			if v.fill(strings.TrimSpace(alt)) == got {
				return nil
			}
		}
		return fmt.Errorf("%q is none of %s", got, want)
	}
	if w := v.fill(want); w != got {
		return fmt.Errorf("%q where %q was due", got, w)
	}
	return nil
}

// marks are the p: attributes of an expected element.
func marks(n *client.Node) (more, absent bool, attrs []xml.Attr) {
	for _, a := range n.Attr {
		if a.Name.Space == "p" {
			more = more || a.Name.Local == "more"
			absent = absent || a.Name.Local == "absent"
			continue
		}
		attrs = append(attrs, a)
	}
	return more, absent, attrs
}

const xmlSpace = "http://www.w3.org/XML/1998/namespace"

// match says why got is not what want describes; nil if it is.
func (v vars) match(want, got *client.Node) error {
	if want.Name != got.Name {
		return fmt.Errorf("<%s xmlns=%q> where <%s xmlns=%q> was due", got.Name.Local, got.Name.Space, want.Name.Local, want.Name.Space)
	}
	more, _, attrs := marks(want)
	if got.Get("type") == "error" || got.Name.Local == "error" {
		more = true // RFC 6120 §8.3.1: text, the offending payload and more may accompany a condition
	}
	seen := map[xml.Name]bool{}
	for _, a := range attrs {
		seen[a.Name] = true
		val, ok := lookup(got, a.Name)
		if a.Value == "{none}" {
			if ok {
				return fmt.Errorf("<%s> has %s=%q, which was not due", got.Name.Local, a.Name.Local, val)
			}
			continue
		}
		if !ok && a.Name.Local == "to" && a.Name.Space == "" {
			continue // RFC 6120 §8.1.1: the server need not repeat the address of the stream's own end
		}
		if !ok && a.Value != "{any}" {
			return fmt.Errorf("<%s> lacks %s=%q", got.Name.Local, a.Name.Local, v.fill(a.Value))
		}
		if err := v.value(a.Value, val); err != nil {
			return fmt.Errorf("<%s> %s: %w", got.Name.Local, a.Name.Local, err)
		}
	}
	for _, a := range got.Attr {
		if !more && !seen[a.Name] && a.Name.Space != xmlSpace {
			return fmt.Errorf("<%s> has %s=%q besides", got.Name.Local, a.Name.Local, a.Value)
		}
	}
	if err := v.kids(want, got, more); err != nil {
		return err
	}
	if len(want.Kids) == 0 && (want.Text != "" || !more) {
		if err := v.value(want.Text, strings.TrimSpace(got.Text)); err != nil && want.Text+got.Text != "" {
			return fmt.Errorf("text of <%s>: %w", got.Name.Local, err)
		}
	}
	return nil
}

func (v vars) kids(want, got *client.Node, more bool) error {
	used := make([]bool, len(got.Kids))
	for _, w := range want.Kids {
		_, absent, _ := marks(w)
		var last error
		found := false
		for i, g := range got.Kids {
			if used[i] || g.Name != w.Name {
				continue
			}
			if absent {
				return fmt.Errorf("<%s> is in <%s> and must not be", w.Name.Local, got.Name.Local)
			}
			if last = v.match(w, g); last == nil {
				used[i], found = true, true
				break
			}
		}
		if !found && !absent {
			if last != nil {
				return last
			}
			return fmt.Errorf("<%s> lacks <%s xmlns=%q>", got.Name.Local, w.Name.Local, w.Name.Space)
		}
	}
	for i, g := range got.Kids {
		if !used[i] && !more && !serverMade(g) {
			return fmt.Errorf("<%s> has %s besides", got.Name.Local, g)
		}
	}
	return nil
}

// serverMade says whether a server may add the child without being asked: the
// archive's id (XEP-0359 §3) and the avatar mark on presence (XEP-0398 §3).
func serverMade(n *client.Node) bool {
	return n.Name == xml.Name{Space: "urn:xmpp:sid:0", Local: "stanza-id"} ||
		n.Name == xml.Name{Space: "vcard-temp:x:update", Local: "x"}
}

func lookup(n *client.Node, name xml.Name) (string, bool) {
	for _, a := range n.Attr {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}
