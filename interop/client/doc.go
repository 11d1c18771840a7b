// Package client is a small raw XMPP client for tests: it sends exactly the
// bytes it is told to and hands back what the server wrote, stanza by stanza.
//
// Specifications: RFC 6120 (streams, STARTTLS, SASL, binding), RFC 5802 and
// RFC 7677 (SCRAM, own client side), XEP-0198 (counting, resume), RFC 7590.
//
// It deliberately parses with encoding/xml, not with xmpp/elem: a test that
// reads the server's output with the server's own tokenizer would be blind to
// the mistakes both share.
//
// Goroutines: Login starts one reader per connection; Close or the peer's
// closing ends it. Locks: Client.mu guards the inbox and the XEP-0198
// counters. Tables: none. Callers: interop/scripts, interop/faults, interop/attack,
// interop/peers. It has no opinion about what a server should answer, holds no
// roster, and answers nothing by itself except <r/>.
package client
