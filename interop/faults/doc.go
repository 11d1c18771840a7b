// Package faults kills the server at random moments under load, cuts its
// clients' connections, starts it again on the same data, and lets
// interop/check judge the whole history.
//
// Specifications: HARDENING §8 F1 and F14 (in part), XEP-0198 (acks, resume),
// XEP-0359 (a retry keeps its origin-id), XEP-0313 (the final views).
//
// `go test` kills 20 times; `go test -run TestKill -kills=200 -seed=N` is the
// long run by hand. A failure prints the seed that replays the choice of
// moments (the machine's timing is not replayed).
//
// Goroutines: one per person under load, ended with the run. Locks and tables:
// none. Called by nobody: its tests are the runs. It does not replay a machine's timing, and imports the
// built binary's doors only (interop/client, interop/server).
package faults
