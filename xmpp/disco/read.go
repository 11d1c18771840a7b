package disco

import (
	"slices"
	"strings"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
)

// Read makes an Info of a <query/>. Forms without FORM_TYPE are left out
// (XEP-0115 §5.4, 3.6).
func Read(q *elem.Element) Info {
	var i Info
	for _, c := range q.Children {
		switch {
		case c.Space == InfoSpace && c.Local == "identity":
			lang, _ := c.Lookup("xml:lang")
			i.Identities = append(i.Identities, Identity{Category: c.Attr("category"), Type: c.Attr("type"), Lang: lang, Name: c.Attr("name")})
		case c.Space == InfoSpace && c.Local == "feature":
			i.Features = append(i.Features, c.Attr("var"))
		case c.Space == form.Space && c.Local == "x":
			if f := form.Read(c); hidden(f) {
				i.Forms = append(i.Forms, f)
			}
		}
	}
	return i
}

// hidden says whether a form says what it is in a hidden field.
func hidden(f *form.Form) bool {
	return f.Kind() != "" && slices.ContainsFunc(f.Fields, func(fd form.Field) bool { return fd.Var == "FORM_TYPE" && fd.Type == "hidden" })
}

// Proves says whether the Info is what a capabilities hash stands for: it hashes
// to ver, and is well-formed in the sense of XEP-0115 §5.4. A "<" in a value would
// let one Info pass for another, so nothing with one is believed (XEP-0115 §8.2).
func (i Info) Proves(hash, ver string) bool {
	if i.ambiguous() {
		return false
	}
	sum, ok := i.HashBy(hash)
	return ok && sum == ver
}

func (i Info) ambiguous() bool {
	ids := make([]string, 0, len(i.Identities))
	for _, id := range i.Identities {
		ids = append(ids, id.Category+"/"+id.Type+"/"+id.Lang+"/"+id.Name)
	}
	kinds := make([]string, 0, len(i.Forms))
	var values []string
	for _, f := range i.Forms {
		kinds = append(kinds, f.Kind())
		if len(slices.Compact(slices.Clone(f.Values("FORM_TYPE")))) > 1 {
			return true
		}
		for _, fd := range f.Fields {
			values = append(append(values, fd.Var), fd.Values...)
		}
	}
	for _, list := range [][]string{ids, i.Features, kinds} {
		if repeats(list) {
			return true
		}
		values = append(values, list...)
	}
	return slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "<") })
}

func repeats(list []string) bool {
	list = slices.Sorted(slices.Values(list))
	return len(slices.Compact(slices.Clone(list))) != len(list)
}
