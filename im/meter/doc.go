// Package meter counts what happens on the path: numbers that code adds to as
// it goes, and that the metrics page reads when it is asked.
//
// Counting must not show in a profile. A counter is one atomic number, a
// histogram has fixed buckets; nothing is allocated, no label is built and no
// lock is taken per message. Code on the path counts once per batch where it
// has a batch. Only refusals and logins, which are rare and cost a reply,
// go by name under a lock.
//
// Specs: none. The conditions counted are those of RFC 6120 §6.5 and §8.3.3.
//
// Tables: none. Goroutines: none. Locks: one per Tally, a leaf.
//
// Called by: the path and the edges add, admin/metric reads; server makes the
// one Meter of a process.
//
// It does not know Prometheus, names or units beyond seconds, and it keeps no
// history: who wants a rate reads twice.
package meter
