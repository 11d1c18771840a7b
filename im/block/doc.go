// Package block is whom an account does not want to hear from, and one of the
// questions the judge asks of every stanza.
//
// Specifications: XEP-0191 (blocking command; §6 says what an entry matches).
//
// Verdict and Blocked answer from memory; a list is loaded when first asked for,
// and stays while its account has sessions. If it can't be loaded the stage
// fails closed: messages and requests are refused as temporary failures,
// presence is dropped.
//
// It owns the table block. It starts no goroutine. Locks: those of im/cache
// only. im/deliver asks Verdict and calls the IQ handlers; im/presence asks
// Allows through im/deliver or the wiring, and meets the interface Presence, so that
// blocking looks like going offline. It keeps no privacy lists (XEP-0016) and
// does not touch the archive.
package block
