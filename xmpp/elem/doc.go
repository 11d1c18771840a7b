// Package elem takes XML streams apart into top-level elements and puts small
// elements together.
//
// Specifications: XML 1.0 (fifth edition) and Namespaces in XML 1.0, as
// restricted by RFC 6120 §11; RFC 6120 §4.2 to §4.4 (header, footer), §4.6.1
// (white space), §4.9.3 (conditions); RFC 7395 §3.3 (framing).
//
// A Scanner is pushed bytes by the edge that owns the buffer and answers with
// events. A complete element comes as a Raw: offsets and slices into that
// buffer, nothing built, so that what is relayed is the sender's bytes. It is
// strict, because those bytes go to parsers not ours: whatever is not well-formed
// and namespace-well-formed, and what RFC 6120 §11.1 forbids, ends the stream.
// Limits hold while bytes come in, not at an element's end. Its grammar is
// compared with another parser (expat) in the tests; where the two differ on
// purpose is listed there.
//
// Element is a small tree for what the server itself reads or makes. The
// Append functions escape whatever they are given.
//
// The package has no goroutines, sockets or tables. Its one piece of shared
// state is a sync.Pool of working memory. Edges call the Scanner; im/deliver and
// the features read Raw and Element. It does not know what a stanza means.
package elem
