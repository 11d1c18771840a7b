package stream

import "github.com/parlance-im/parlance/xmpp/elem"

// Framing is how a stream's parts stand on the wire: one long document on TCP,
// one small document per message on WebSocket. Its functions append to dst.
type Framing interface {
	// Framed says that every element is a document of its own (RFC 7395 §3.3).
	Framed() bool
	// Open writes our opening.
	Open(dst []byte, h *Header) []byte
	// Close writes our end.
	Close(dst []byte) []byte
	// Element writes one top-level element, given as it stands in a TCP stream.
	// nameEnd is the offset after its name where it relies on a declaration of
	// the TCP stream's header: the default namespace, or the prefix "stream"
	// if it is so written. 0 says that it relies on nothing.
	Element(dst, el []byte, nameEnd int) []byte
}

// TCP is the framing of RFC 6120 §4.
type TCP struct{}

// Framed is false.
func (TCP) Framed() bool { return false }

// Open writes the XML declaration and the stream header (RFC 6120 §4.7).
func (TCP) Open(dst []byte, h *Header) []byte {
	dst = append(dst, "<?xml version='1.0'?><stream:stream xmlns='"+Client+"' xmlns:stream='"+Space+"'"...)
	return append(appendAttrs(dst, h), '>')
}

// Close writes the closing tag.
func (TCP) Close(dst []byte) []byte { return append(dst, "</stream:stream>"...) }

// Element writes el as it is.
func (TCP) Element(dst, el []byte, _ int) []byte { return append(dst, el...) }

func appendAttrs(dst []byte, h *Header) []byte {
	dst = elem.AppendAttr(dst, "id", h.ID)
	dst = append(dst, " version='1.0' xml:lang='"+Lang+"'"...)
	if !h.From.IsZero() {
		dst = elem.AppendAttr(dst, "from", h.From.String())
	}
	if !h.To.IsZero() {
		dst = elem.AppendAttr(dst, "to", h.To.String())
	}
	return dst
}

// Text is the framing of RFC 7395 §3.3 before it is put in WebSocket messages.
type Text struct{}

// Framed is true.
func (Text) Framed() bool { return true }

// Open writes <open/> (RFC 7395 §3.4).
func (Text) Open(dst []byte, h *Header) []byte {
	dst = append(dst, "<open xmlns='"+FramedSpace+"'"...)
	return append(appendAttrs(dst, h), "/>"...)
}

// Close writes <close/> (RFC 7395 §3.6).
func (Text) Close(dst []byte) []byte { return append(dst, "<close xmlns='"+FramedSpace+"'/>"...) }

// Element writes el with what it relies on declared (RFC 7395 §3.3.3).
func (Text) Element(dst, el []byte, nameEnd int) []byte {
	if nameEnd == 0 {
		return append(dst, el...)
	}
	dst = append(dst, el[:nameEnd]...)
	if len(el) > 8 && string(el[:8]) == "<stream:" {
		dst = append(dst, " xmlns:stream='"+Space+"'"...)
		// The content of <stream:features/> and <stream:error/> declares its own namespaces.
	} else {
		dst = append(dst, " xmlns='"+Client+"'"...)
	}
	return append(dst, el[nameEnd:]...)
}
