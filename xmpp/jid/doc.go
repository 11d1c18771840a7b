// Package jid is the XMPP address: parsed and normalised once, compared as a
// value ever after. Past accept an address is a JID, never a string.
//
// Specifications: RFC 7622 (addresses), RFC 8264 and 8265 (PRECIS:
// UsernameCaseMapped for the local part, OpaqueString for the resource), RFC
// 5890–5893 and UTS 46 (domain names), RFC 5952 (IPv6 literals).
//
// A JID is one string and two lengths: comparable, usable as a map key, and
// Bare, Domain and the other parts cost no allocation. An address of plain
// ASCII already in its normal form is taken as it stands; everything else goes
// through PRECIS and IDNA until it no longer changes, so that Parse is idempotent.
//
// It has no goroutines, locks, sockets or tables. Everybody calls it. It does
// not know which domains are ours, nor whether an account exists.
package jid
