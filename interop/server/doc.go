// Package server starts a server under test: this product's own binary
// (`parlance demo`, or `parlance serve` where a test needs a configuration) or
// Debian's prosody as the second opinion, in a directory of its own, on
// loopback, with ports from the kernel. Postgres is a database cluster for it.
//
// Specifications: none of its own; all servers get the same people
// (alice bob carol dave erin admin, password "parlance"; in the demo and in
// prosody alice, bob and carol are mutual contacts) on the domain acme.test.
//
// Processes: Start runs one; Stop (polite, then by force after a deadline) or
// Kill (SIGKILL) ends it, always by its own pid and its children's. Goroutines: one waits for the
// process and ends with it. Locks and tables: none. Callers: every other package below interop, and
// bench. It imports nothing of the product: the binary is all it knows.
package server
