// Package api is how an operator on the machine itself talks to a running
// server: JSON over HTTP/1.1 on a unix socket only its owner can open, and the
// client for it. Profiles (pprof) are there, and nowhere else.
//
// Specs: RFC 9112 (HTTP/1.1), newline-delimited JSON for the progress of an
// import. It is no XMPP.
//
// Tables: none; im/account keeps the accounts.
//
// Goroutines: Serve starts those of net/http and ends them before it returns.
// Locks: one request at a time samples locks (profiles.locks); no other lock is
// taken under it.
//
// Called by: server starts Serve; admin/command is the client's user.
//
// It does not authenticate: who may open the socket (mode 0600) may do all, and
// no secret it is sent is logged or sent back. It never listens on a network.
package api
