package block

import (
	"strings"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// List is one account's block list. It is immutable.
type List struct {
	jids    map[jid.JID]struct{}
	domains map[string]struct{} // those of jids that are domains alone
}

func newList(jids []jid.JID) *List {
	l := &List{}
	if len(jids) == 0 {
		return l
	}
	l.jids = make(map[jid.JID]struct{}, len(jids))
	for _, j := range jids {
		l.jids[j] = struct{}{}
		if j.IsDomain() {
			if l.domains == nil {
				l.domains = make(map[string]struct{})
			}
			l.domains[j.Domain()] = struct{}{}
		}
	}
	return l
}

// Len is how many entries there are.
func (l *List) Len() int { return len(l.jids) }

// Matches says whether j is blocked, in the order of XEP-0191 "JID Matching":
// the full JID, the bare JID, the domain with that resource, the domain, which
// stands for its subdomains too.
func (l *List) Matches(j jid.JID) bool {
	if len(l.jids) == 0 {
		return false
	}
	if _, ok := l.jids[j]; ok {
		return true
	}
	if bare := j.Bare(); bare != j && !bare.IsDomain() {
		if _, ok := l.jids[bare]; ok {
			return true
		}
	}
	if len(l.domains) == 0 {
		return false
	}
	for d := j.Domain(); d != ""; {
		if _, ok := l.domains[d]; ok {
			return true
		}
		_, d, _ = strings.Cut(d, ".")
	}
	return false
}

// changed returns the list with some entries added and others taken out.
func (l *List) changed(add, remove []jid.JID) *List {
	gone := make(map[jid.JID]bool, len(remove))
	for _, j := range remove {
		gone[j] = true
	}
	next := make([]jid.JID, 0, len(l.jids)+len(add))
	for j := range l.jids {
		if !gone[j] {
			next = append(next, j)
		}
	}
	return newList(append(next, add...))
}
