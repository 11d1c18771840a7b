// Package faults does to a running server what machines, disks, databases and
// networks do: kills it, cuts its power, fills its disk, locks its database,
// takes its files and its memory away, breaks its clients' connections. Under
// load where that matters; interop/check judges the whole history.
//
// Specifications: HARDENING §8, a test per row and its id in the comment above it; XEP-0198 (acks, resume),
// XEP-0359 (a retry keeps its origin-id), XEP-0313 (the final views).
//
// `go test` is the short pass: one seeded run of every row at about a hundredth
// of the counts, deadlines times ten. `make faults` runs the full figures and writes
// docs/faults.md. A failure prints the seed that draws the same moments again
// (the machine's timing is not replayed).
//
// Faults are injected from outside: by signals, by strace (system calls that fail, kill or
// lie), by an ext4 image on a loop device whose power is cut (power.go: needs root, and
// fails where there is none), by prlimit, by SQL from another process, by interop/proxy.
//
// Goroutines: one per person under load, ended with the run. Locks and tables:
// none of its own. Called by nobody: its tests are the runs. It imports the
// built binary's doors only (interop/client, interop/server, interop/check, interop/proxy).
package faults
