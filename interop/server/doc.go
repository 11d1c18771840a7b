// Package server starts a server under test: this product's own binary
// (`parlance demo`) or Debian's prosody as the second opinion, in a directory
// of its own, on loopback, with ports from the kernel.
//
// Specifications: none of its own; both servers get the same people
// (alice bob carol dave erin admin, password "parlance"; alice, bob and carol
// mutual contacts) on the domain acme.test.
//
// Processes: Start runs one; Stop (polite, then by force after a deadline) or
// Kill (SIGKILL) ends it, always by its own pid. Goroutines: one waits for the
// process and ends with it. Locks and tables: none. Callers: every other package below interop, and
// bench. It imports nothing of the product: the binary is all it knows.
package server
