// Package peers runs clients that are none of ours against the server: slixmpp,
// aioxmpp and profanity from Debian, xmpp.js over WebSocket, and the Go library
// mellium.im/xmpp (a module of its own, so that it never enters the product).
//
// Specifications, as far as each client knows them: RFC 6120 (STARTTLS, SASL),
// XEP-0368 (direct TLS), RFC 7395 (WebSocket), RFC 6121 (presence, chat),
// XEP-0184, XEP-0280, XEP-0313 with XEP-0059, XEP-0198 with resume, XEP-0363
// with XEP-0447 (slixmpp, with aiohttp); XEP-0163 with nicknames, avatars, bookmarks
// and nodes of one's own (slix_pep.py); XEP-0050, XEP-0191, XEP-0048, XEP-0047, XEP-0045 and
// publish-options of XEP-0060 (aioxmpp).
//
// Each peer is a program that prints "ok STEP detail" or "FAIL STEP why" and
// "done"; the Go test starts it and demands every step by name, so a step that
// did not run fails too. A missing client is a failure that says what to install.
// What a client can't do is not asked of it: mellium knows no XEP-0198, and
// Debian's profanity looks for the archive in the wrong place.
//
// Processes: one per peer, killed by its own group when the test ends.
// Goroutines: none beyond os/exec's. Locks and tables: none. Called by nobody:
// its tests are the runs. It does not test the server's own code from within.
package peers
