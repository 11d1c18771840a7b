// Command bench measures a running server from outside, over TLS on loopback:
// memory per idle session, CPU per relayed message, latency at a fixed rate,
// start time. `make bench` runs it and writes bench/README.md.
//
// Latencies are free of coordinated omission: a message's time counts from when
// it was due, not from when the client came to send it. CPU is the server
// process's own, from /proc. Client and server share the machine, so rates are
// lower bounds; CPU per message and memory per session do not suffer from that.
//
// Specs: RFC 6120, XEP-0198, XEP-0368 as a client.
//
// Tables: none. Goroutines: one reader per client, the workload's senders; all
// end with Close or the workload's context. Locks: Client.mu around writes.
// Called by: people, through make bench. It is no test and asserts nothing. It imports the vocabulary (xmpp/…) and the built
// binary, nothing else of the product.
package main
