// Package block is whom an account does not want to hear from, and one of the
// questions the judge asks of every stanza.
//
// Specifications: XEP-0191 (blocking command; §6 says what an entry matches),
// XEP-0377 (reports that come with a block, kept in the same transaction),
// XEP-0133 §4.11 and §4.12 (Wall: the lists of the whole server).
//
// Verdict and Blocked answer from memory; a list is loaded when first asked for,
// and stays while its account has sessions. If it can't be loaded the stage
// fails closed: messages and requests are refused as temporary failures,
// presence is dropped.
//
// It owns the tables block, report and wall. It starts no goroutine. Locks: those of im/cache
// only. im/deliver asks Verdict and calls the IQ handlers; im/presence asks
// Allows through im/deliver or the wiring, and meets the interface Presence, so that
// blocking looks like going offline. It keeps no privacy lists (XEP-0016) and
// does not touch the archive.
package block
