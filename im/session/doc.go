// Package session is one bound resource: who it is, what it announced, and
// what still has to reach it. A session is logical: it outlives its connection
// while stream management lets it be resumed (XEP-0198 §5).
//
// The queue holds frames in order. The edge takes frames and writes them; a
// frame is confirmed when the client acknowledged it (XEP-0198 §4), or, without
// stream management, when it was written. What was never confirmed comes back
// from End, so that nothing is lost with the connection.
//
// Specifications: RFC 6120 §7 (resource binding), RFC 6121 §4 (presence state),
// XEP-0198 (counters, unacknowledged queue), XEP-0352 (inactive clients).
//
// It owns no table and starts no goroutine. Each Session has one lock, held
// for a few instructions and never across I/O; Wire methods are called without it.
// im/route creates and ends sessions, edges take from them.
package session
