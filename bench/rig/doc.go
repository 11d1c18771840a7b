// Command rig starts servers, aims the workloads of package bench at them and
// writes the tables: `rig own` (make bench) measures this product and writes
// bench/README.md and the figures `parlance sizing` uses, `rig peers` (make
// bench-peers) measures it beside Debian's ejabberd and Prosody and writes
// bench/PEERS.md.
//
// Every server runs in a temporary folder of its own, on loopback, on ports
// from the kernel, with accounts and rosters made here, and is ended by its own
// pid. Services of the machine are left alone.
//
// Specs: none of its own.
//
// Tables: none of ours; it fills the account and roster tables of the peers it
// starts. Goroutines: one per server waits for its process and ends with it.
// Locks: none. Called by: make bench, make bench-peers; its test runs each
// workload briefly. It imports bench and the built binary, nothing else of the
// product, and asserts nothing about speed.
package main
