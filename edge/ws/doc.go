// Package ws carries XMPP over WebSocket (RFC 7395): it upgrades a request,
// takes messages out of frames and puts the stream's elements into them.
//
// Specifications: RFC 7395 (XMPP subprotocol), RFC 6455 §5 (frames), §7 (close).
// The stream within is edge/c2s's.
//
// Tables: none.
//
// Goroutines: none of its own beyond the one it hands to edge/c2s with each
// connection; that ends with the connection.
//
// Locks: none.
//
// Called by: edge/http serves the Handler; server makes it.
//
// It does not log anybody in by cookie, does not compress (HARDENING X12),
// and knows nothing of stanzas.
package ws
