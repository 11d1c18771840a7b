// Package presence is who is there: it takes the presence of sessions, tells
// those who may know, and carries subscription requests between people.
//
// Specifications: RFC 6121 §3 (subscriptions; the state machine is im/roster's)
// and §4 (presence: initial, probes, broadcast, unavailable, directed), XEP-0191
// (presence on block and unblock), XEP-0012 (the time an account was last seen),
// XEP-0352 (frames name what they replace).
//
// # Order
//
// A session's presence changes, and is told, under one lock chosen by its
// account; whoever reads it in order to tell somebody (a probe, an approval)
// holds the same lock. So nobody sees an older presence of a session after a
// newer one, and nobody who became a subscriber or available meanwhile is missed:
// both sides publish first (session state, roster) and look second. A session
// that says unavailable may still get what was on its way to it.
//
// A presence that waits (pace.go) is published at once, so that probes see it; what is
// told later is what holds then.
//
// # Locks
//
// herald.locks, 256 of them, by account. At most one is held at a time, for
// pushes to queues only, never across I/O: rosters are loaded before and
// only peeked at under the lock. Under it come the locks of im/cache, im/route, the sessions and the
// block list's memory, and pace.mu. It is taken inside im/cache's Order (as a step of a
// roster or block list change), never the other way round: Table.Push's overflow
// callback must not call a Flow.
//
// # Owns
//
// The table last_seen. It starts no goroutine but the timers of pace.go, which Stop
// ends: whoever makes the server tell others much (HARDENING M7) waits until he may
// again, and of what he said meanwhile the last is told. im/deliver calls Update, Direct,
// Subscription, Probe and Gone (after it has taken the session out of the
// table), the IQ handlers of im/roster and im/block call Carry, Hide and Show. It does
// not judge (Config.May is the judge's answer), knows no rooms and no other
// servers, and sends no messages that waited.
package presence
