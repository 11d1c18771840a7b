// Package deliver is the way of a stanza through the server, and nothing else:
// accept → judge → plan → commit → fanout → write.
//
//   - accept (accept.go): stamps the sender, removes what only servers may say.
//   - judge (judge.go): asks its Judge, for every stanza kind.
//   - plan (plan.go): a pure function; RFC 6121 §8 as a table. It decides
//     accounts: what is recorded, for whom, who gets it.
//   - commit (commit.go): one archive transaction for what many senders wrote
//     at the same time. If it fails the sender gets an error and nobody the message.
//   - fanout (im/route): resolves sessions as they are after the commit.
//   - write: the edge.
//
// The order is in the types: commit takes only planned values, which only plan
// makes of judged ones; fanout takes only committed ones.
//
// Specifications: RFC 6120 §8 and §10, RFC 6121 §8, XEP-0160, XEP-0198 §4 (what
// an acknowledgement means), XEP-0280 §6, XEP-0334 §4.
//
// It owns no table. Path is made of parts, each with what it alone keeps: responder
// (iq.go), logWriter (commit.go), lifecycle (sessions.go), replies (reply.go) and
// tally (count.go). Goroutines: Path.Run starts the log writer, the fanout and the
// janitor, and waits for catch-ups (waiting.go); all end with its context. Locks:
// lifecycle.mu guards the hibernating sessions only. Edges call Bind, Open, Resume,
// Detach and End; an Inlet belongs to one connection's reader. It does not parse
// bytes, know policies, or open sockets.
package deliver
