// Package stanza is the vocabulary of the three stanza kinds: their attributes
// as typed values, their content as the sender's own bytes, their errors.
//
// Specifications: RFC 6120 §8 (stanza semantics, errors), RFC 6121 §4.7 and
// §5.2 (presence and message types).
//
// It has no goroutines, sockets or tables. Used by im and edge: im/deliver makes stanzas from what
// an edge scanned; im/route encodes them for recipients. It does not decide
// where a stanza goes.
package stanza
