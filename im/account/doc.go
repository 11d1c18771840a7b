// Package account knows who may log in: accounts, the keys made of their
// passwords, the tokens that stand for them, and how often someone may be wrong.
//
// Specifications: RFC 5802 §3 and XEP-0438 (stored keys, iterations), RFC 6120
// §6.5 (what a failed login says), RFC 7628 (tokens of the stream), XEP-0480 (keys
// of more hash functions), XEP-0484 (tokens of devices), XEP-0175 (guests), XEP-0401
// (invitations). It answers
// HARDENING A5 to A10 and A12.
//
// Tables it owns: account, account_key, token, fast_token, invite, setting, known_source. Passwords
// are never stored, tokens as hashes, those of devices as what only this server can make them of.
//
// Goroutines: Import starts one per core and one that writes, and waits for
// them; Remember is a goroutine of who calls it, stopped by its context; nothing else outlives a call. Locks: one each in the credential cache,
// the limiter and the list of callbacks; none is held across I/O or together
// with another.
//
// Called by: the edges take Login for SASL and tokens for HTTP, the path asks Exists,
// admin/api does the rest, server registers OnRevoke and OnRemove.
//
// It does not end sessions (OnRevoke tells who must), does not know rosters or
// archives (OnRemove lets their owners delete), and holds no password rules
// beyond length and the list of refused ones.
package account
