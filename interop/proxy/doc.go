// Package proxy is a bad network between a client and a server: latency, bytes
// in slices, resets, a direction that closes by itself, silence.
//
// Specifications: HARDENING §8 F14, and F6 (connections to a database that break
// in the middle of a commit).
//
// It carries bytes and knows no protocol. What a hole swallows is kept back, as
// TCP would send it again, until the weather changes; a forgotten link (NAT
// drop) never carries anything any more.
//
// Goroutines: one accepts, four per link carry its bytes; Close ends them all and waits.
// Locks: Proxy.mu guards links and weather, each pipe's queue is a channel.
// Tables: none. Callers: interop/faults. It does not drop or reorder packets: TCP
// hides both from who it is between.
package proxy
