// Package setup lets the holder of the one-time set-up token make the first
// account over HTTPS: POST /api/v1/setup with JSON
//
//	{"token":"…","user":"admin","password":"…","name":"…"}
//
// answered by 201 and {"jid":"admin@example.net"}, or by problem+json (RFC 9457):
// 403 bad-token, 400 bad-request or bad-password, 500 internal-error. The token works once and for
// 30 minutes (HARDENING V8); afterwards the address answers 403 to everything.
//
// Tables: none; tokens and accounts are im/account's. It starts no goroutine.
// Lock: one, so that a token makes one account. edge/http calls the handler.
// It prints no token: server does, when there are no accounts.
package setup
