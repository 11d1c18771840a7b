package sasl

import (
	"encoding/base64"
	"slices"
	"strings"
)

// Announced is what a peer was told before it logs in.
type Announced struct {
	Mechanisms []string // of the SASL profile it uses: RFC 6120 §6 or XEP-0388
	Bindings   []string // XEP-0440; nil if none were named
}

// hash is the text of "h" in the server's first message: what was announced, in
// an order that doesn't depend on how it was written (XEP-0474 §6.1). A peer
// that saw another list has met somebody in between.
func (a *Announced) hash(h Hash) string {
	s := joined(a.Mechanisms)
	if len(a.Bindings) > 0 {
		s += "\x1f" + joined(a.Bindings)
	}
	return base64.StdEncoding.EncodeToString(h.sum([]byte(s)))
}

// joined sorts by octets, as RFC 4790 §9.3 does.
func joined(names []string) string {
	return strings.Join(slices.Sorted(slices.Values(names)), "\x1e")
}
