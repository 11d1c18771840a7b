// Package http is the HTTPS port: it serves the web client, the HTTP API the web
// client logs in with, WebSocket upgrades, routes of features, and, chosen by
// ALPN, any XMPP client, so that a firewall needs one hole.
//
// Specifications: RFC 9110, RFC 9457 (problem+json), RFC 7301 (ALPN), XEP-0368
// (the protocol name xmpp-client), RFC 6797 (HSTS).
//
// Tables: none; tokens are im/account's.
//
// Goroutines: those of net/http, one per connection during its TLS handshake.
// Shutdown ends them.
//
// Locks: one around the count of requests by address, for a few instructions; a
// sync.Once per static file.
//
// Called by: server.
//
// It does not check passwords (im/account does), keeps no session, and lets
// no cookie authenticate a stream.
package http
