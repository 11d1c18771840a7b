// Package check is the judge of histories: given what clients sent, were told
// and received, and the final dumps of the archive and of everybody's view of
// it, it names every violation of "acknowledged means archived, once, in order,
// for everybody it is for".
//
// Specifications: HARDENING §8 (the checker), XEP-0198 (what an acknowledgement
// promises), XEP-0313 (a person's archive), XEP-0359 (ids).
//
// Rules of use: every send has an id (its origin-id) and a body of its own; a
// retry keeps the id; unacknowledged sends may appear 0 or 1 times. A session
// here is a logical one: it spans XEP-0198 resumes. A session that joins says
// after which message it must get everything; one that leaves is answerable up
// to the last message it got. The archive is read from the files by a reader of
// its own (dump.go), never through the server.
//
// It works by conversation and is linear in the events. No goroutines, no
// locks: History is for one goroutine, Recorder for many. dump.go runs
// /usr/bin/python3. Tables: none, it reads those of im/archive. Callers: interop/faults, bench.
package check
