// Package c2s speaks XMPP with clients: it negotiates the stream, turns bytes
// into stanzas for the path, and writes the frames of a session.
//
// Specifications: RFC 6120 §4 (streams), §5 (STARTTLS), §6 (SASL), §7 (resource
// binding), XEP-0368 (direct TLS), XEP-0198 (stream management), XEP-0352
// (client state), XEP-0478 (limits), XEP-0440 (channel binding types), XEP-0388
// (login, its extensions in the same step: XEP-0386 resource, XEP-0484 token of a
// device, XEP-0480 keys of another hash, XEP-0198 §9 resumption).
//
// One file for each step: header, features, login (RFC 6120 §6), sasl2 (XEP-0388),
// upgrade, fast, register (XEP-0077, XEP-0445), bind, bind2, manage, stanza, end.
//
// A Stream is fed with bytes and never waits for them itself: who reads them,
// and whether a goroutine waits for an idle connection, is the business of link
// (goroutine per connection) alone. edge/ws uses the same Stream with another
// Framing and Decoder.
//
// Tables: none.
//
// Goroutines: one per connection that reads and decides (link.run), begun by
// Serve or Run, ended by the connection's end. A connection that is silent for a
// while is parked: it has none then, and one for all (edge.Lot) waits. While frames
// wait, a few more that write (writers.run), as many as there are processors at most;
// they wait for no client. Where one does not take what it is sent, a goroutine of its
// own goes on (outlet.drain). They end when nothing is left to write. Shutdown ends all
// of them. A timer that asks for acknowledgements later may fire once after the last
// connection's end, to no effect.
//
// Locks: Server.mu (the set of connections) and outlet.mu, which orders writes
// to one connection and is held during them; no other lock is taken under it
// but the session's own, and writers.mu, for a few instructions.
//
// Called by: server, edge/ws, edge/http (through a function value). It calls
// im/deliver through Core.
//
// It does not decide where a stanza goes, checks no password, keeps no session.
package c2s
