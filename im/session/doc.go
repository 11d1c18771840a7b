// Package session is one bound resource: who it is, what it announced, and
// what still has to reach it. A session is logical: it outlives its connection
// while stream management lets it be resumed (XEP-0198 §5).
//
// The queue holds frames in order. The edge takes frames and writes them; a
// frame is confirmed when the client acknowledged it (XEP-0198 §4), or, without
// stream management, when it was written. What was never confirmed comes back
// from End, so that nothing is lost with the connection.
//
// What the archive holds need not be held here (ref.go): once more than 40 stanzas
// or 32 KiB of it were written and not acknowledged, or came while there is no
// connection, the queue keeps references (position and form, 24 bytes) and lets the
// frames go. A resumed session reads them back page by page (Reload) and sends the
// same once more. Presence, IQ, typing and what the archive answers to a query
// stay frames.
//
// Specifications: RFC 6120 §7 (resource binding), RFC 6121 §4 (presence state),
// XEP-0198 (counters, unacknowledged queue, resumption), XEP-0352 (inactive clients).
//
// It owns no table and starts no goroutine. Each Session has one lock, held
// for a few instructions and never across I/O; Wire and Record methods are called without it.
// im/route creates and ends sessions, edges take from them.
package session
