package archive

import (
	"bytes"

	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/xmpp/elem"
)

// empty stands in for a stanza that can't be read any more: its place, its id and its time are shown, so that
// paging and counting go on, and clients have nothing to draw (HARDENING F12).
var empty = []byte("<message></message>")

// Damaged says that a record's content is no message any more: a disk or
// somebody changed it. It is never sent on; `parlance doctor --archive` names it.
func (k *Kept) Damaged() bool {
	if !bytes.HasPrefix(k.Stanza, empty[:nameEnd]) || !bytes.HasSuffix(k.Stanza, empty[nameEnd+1:]) {
		return true
	}
	// What was accepted within the limits has grown by what the server adds to it.
	lim := elem.DefaultLimits()
	lim.Bytes, lim.Depth, lim.Elements, lim.Attrs, lim.Decls = 4*lim.Bytes, 2*lim.Depth, 2*lim.Elements, 2*lim.Attrs, 4*lim.Decls
	var s elem.Scanner // on the stack: a page looks at as many as it has messages
	s.Reset(lim)
	s.SetFramed(true)
	ev, n, err := s.Next(k.Stanza)
	if err == nil && ev == elem.Stanza && n == len(k.Stanza) {
		_, _, err = s.Next(nil) // gives its memory back
	} else {
		return true
	}
	return err != nil
}

// Stored is the message as it is sent on.
func (k *Kept) Stored() route.Stored { return route.Stored{At: k.At, Stanza: k.content()} }

// content is the stanza to send on.
func (k *Kept) content() []byte {
	if k.Damaged() {
		return empty
	}
	return k.Stanza
}
