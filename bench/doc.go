// Package bench measures a running XMPP server from outside, any server, over
// loopback: `parlance bench WORKLOAD`. The workloads are idle, chat, room,
// presence, login and archive; each is a file. What is measured of the server
// (CPU, memory) comes from /proc of the pids it is given and their children.
//
// Latencies are free of coordinated omission where a rate is asked for: a
// message's time counts from when it was due, not from when the client came to
// send it. Client and server share the machine, so rates are lower bounds; CPU
// per unit and memory per session do not suffer from that. Latencies go into a
// histogram of fixed size, so that a long run needs no more memory than a short one.
// Every run is bounded in count and in time.
//
// Specs: as a client RFC 6120, RFC 6121, RFC 5802 (SCRAM), XEP-0368 (direct TLS),
// XEP-0198, XEP-0313 with XEP-0059, XEP-0045, XEP-0030, XEP-0092, XEP-0484.
//
// Tables: none. Goroutines: one reader per client, the workload's senders; all
// end with Close or with the workload's context. Locks: Client.mu around writes.
// Called by: cmd/parlance for people, bench/rig for our own tables. It imports
// the vocabulary (xmpp/…) and nothing else of the product, and does not talk to
// any address but loopback.
package bench
