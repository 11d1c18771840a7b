// Package trace tells, live, what the six verbs do with one person's stanzas,
// for an operator who asks where a message went.
//
// As long as nobody watches, a stanza costs one atomic load per verb. An event
// names kind, addresses, id and outcome of a stanza, never what it says.
//
// Specs: none. Tables: none. Goroutines: none.
//
// Locks: Tracer.mu, a leaf; it is held while events are put into channels, which never waits:
// a watcher that does not keep up loses events and is told how many.
//
// Called by: im/deliver and edge/c2s tell, admin/api watches; server makes the
// one Tracer of a process.
//
// It keeps nothing, and writes no log.
package trace
