// Package edge is what every listener of people and peers shares: how
// connections are accepted, how many may wait unauthenticated, how many log in
// at a time (Pass.Turn), their TLS certificate, and reading that holds no buffer
// while nothing comes (Slim takes those of crypto/tls, too).
//
// Specifications: none of its own; limits are those of HARDENING §0 (X8, A15,
// F7, F13), TLS as RFC 7590 wants it.
//
// Tables: none.
//
// Goroutines: a Lot has one, from the first Park to Close. Serve runs in its
// caller's and starts one per connection, which ends with its handler; Serve
// returns when its listener is closed. A Gate has a timer while connections wait
// for their turn.
//
// Locks: one in Gate, one in Keys, one in Lot; all for a few instructions.
//
// Called by: edge/c2s, edge/ws, edge/http, and server for the wiring.
//
// It knows nothing of XMPP or HTTP.
package edge
