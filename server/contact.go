package server

import (
	"net/url"
	"slices"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/form"
)

// contacts is XEP-0157, which is a form in what the host says of itself.
func contacts() im.Feature {
	return im.Feature{Name: "contact", Specs: []im.Spec{{ID: "XEP-0157", Version: "1.1.1", Status: "complete"}}}
}

// lists are the contact addresses by the name of their field (XEP-0157 §3), without "-addresses".
func (c Contact) lists() []struct {
	name  string
	addrs []string
} {
	return []struct {
		name  string
		addrs []string
	}{
		{"abuse", c.Abuse}, {"admin", c.Admin}, {"feedback", c.Feedback}, {"sales", c.Sales},
		{"security", c.Security}, {"status", c.Status}, {"support", c.Support},
	}
}

// contactForm is XEP-0157 §3 (as XEP-0128 §3 has it); nil if there are no addresses.
func contactForm(c Contact) []*form.Form {
	f := form.New("result", "http://jabber.org/network/serverinfo")
	for _, l := range c.lists() {
		if len(l.addrs) > 0 {
			f.Add("list-multi", l.name+"-addresses", "", l.addrs...)
		}
	}
	if len(f.Fields) == 1 {
		return nil
	}
	return []*form.Form{f}
}

func (c Contact) check(p *Problems) {
	for _, l := range c.lists() {
		for _, a := range l.addrs {
			u, err := url.Parse(a)
			if err != nil || !slices.Contains([]string{"mailto", "xmpp", "https", "http", "tel"}, u.Scheme) || u.Opaque == "" && u.Host == "" && u.Path == "" {
				p.add("contact."+l.name, "%q is no link: write it like \"mailto:admin@example.com\" or \"xmpp:admin@example.com\"", a)
			}
		}
	}
}
