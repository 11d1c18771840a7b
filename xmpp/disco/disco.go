package disco

import (
	"crypto/sha1" // XEP-0115 §5.1 names it; nothing is protected by it here
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"slices"
	"strings"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
)

// Namespaces.
const (
	InfoSpace  = "http://jabber.org/protocol/disco#info"
	ItemsSpace = "http://jabber.org/protocol/disco#items"
	CapsSpace  = "http://jabber.org/protocol/caps"
)

// Identity is one identity (XEP-0030 §3.1).
type Identity struct{ Category, Type, Lang, Name string }

// Info is what an entity says of itself.
type Info struct {
	Identities []Identity
	Features   []string
	Forms      []*form.Form // XEP-0128
}

// Element is the info as a <query/>; node is repeated if it was asked for.
func (i Info) Element(node string) *elem.Element {
	q := elem.New(InfoSpace, "query")
	if node != "" {
		q.Set("node", node)
	}
	for _, id := range i.Identities {
		e := elem.New(InfoSpace, "identity", "category", id.Category, "type", id.Type)
		if id.Name != "" {
			e.Set("name", id.Name)
		}
		if id.Lang != "" {
			e.Set("xml:lang", id.Lang)
		}
		q.Add(e)
	}
	for _, f := range i.Features {
		q.Add(elem.New(InfoSpace, "feature", "var", f))
	}
	for _, f := range i.Forms {
		q.Add(f.Element())
	}
	return q
}

// Hash is the verification string's hash (XEP-0115 §5.1), base64.
func (i Info) Hash() string {
	sum := sha1.Sum([]byte(i.verification()))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// HashBy is Hash with another function, by its name in XEP-0300; ok is false if
// it is not known here.
func (i Info) HashBy(name string) (sum string, ok bool) {
	var h hash.Hash
	switch name {
	case "sha-1":
		h = sha1.New()
	case "sha-256":
		h = sha256.New()
	case "sha-384":
		h = sha512.New384()
	case "sha-512":
		h = sha512.New()
	default:
		return "", false
	}
	_, _ = h.Write([]byte(i.verification())) // never fails (hash.Hash)
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), true
}

// verification is XEP-0115 §5.1: everything sorted, each part closed by "<".
func (i Info) verification() string {
	var b strings.Builder
	ids := make([]string, 0, len(i.Identities))
	for _, id := range i.Identities {
		ids = append(ids, id.Category+"/"+id.Type+"/"+id.Lang+"/"+id.Name)
	}
	each(&b, ids)
	each(&b, slices.Clone(i.Features))
	forms := slices.Clone(i.Forms)
	slices.SortFunc(forms, func(a, b *form.Form) int { return strings.Compare(a.Kind(), b.Kind()) })
	for _, f := range forms {
		b.WriteString(f.Kind() + "<")
		fields := slices.Clone(f.Fields)
		slices.SortFunc(fields, func(a, b form.Field) int { return strings.Compare(a.Var, b.Var) })
		for _, fd := range fields {
			if fd.Var == "FORM_TYPE" {
				continue
			}
			b.WriteString(fd.Var + "<")
			each(&b, slices.Clone(fd.Values))
		}
	}
	return b.String()
}

func each(b *strings.Builder, parts []string) {
	slices.Sort(parts)
	for _, p := range parts {
		b.WriteString(p)
		b.WriteByte('<')
	}
}
