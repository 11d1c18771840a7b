// Package route knows which sessions are bound and hands frames to them: the
// fifth verb of the message path, fanout.
//
// A Table maps a bare JID to the account's bound sessions, hibernating ones
// included (XEP-0198 §5). Fanout resolves sessions when it runs, after the
// commit, encodes a stanza once and pushes it to each session's bounded queue;
// it never blocks. A session whose queue is full is ended: what it missed is in
// the archive. What a queue gave back to the archive is read and encoded once more
// for the session that resumes (again.go).
//
// Specifications: RFC 6121 §8.5 (which resources of an account), RFC 6120
// §7.7.2 (resource conflicts), XEP-0280 §6-§7 (carbons), XEP-0359 §3 (stanza-id).
//
// It owns no table and starts no goroutine. Locks: one per shard, then one per
// account entry; a session's own lock is taken last. im/deliver calls it for
// messages, im/presence and feature handlers for pushes.
package route
