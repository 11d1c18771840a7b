// Package scripts runs readable conversations (testdata/*.script) against a
// server: who logs in, what they send, what they must and must not receive.
// The same scripts run against this product and against Debian's prosody, so
// that the scripts are tested too.
//
// Specifications: each script names its own in its "spec:" line.
//
// The language, one command per line, indented XML below it:
//
//	title: what the script shows
//	spec: RFC 6121 §8.5.3.1
//	expect-differs: prosody why it answers otherwise (asserted)
//	client Romeo = alice/phone    a device of one of the people of interop/server
//	client Romeo = alice/phone in de    its streams say xml:lang='de' (otherwise 'en')
//	Romeo connects                logs in and binds, sends no presence
//	Romeo comes online [at N]     initial presence, waits for its own reflection
//	Romeo sends:                  the XML below, {variables} filled in
//	Romeo receives:               the next stanzas, exactly these in this order
//	Romeo receives in any order:  the next stanzas, in whatever order
//	Romeo receives nothing        after a fence: nothing has come
//	Romeo ignores presence        leaves presence (or message, iq) out from here on,
//	                              unless expected; also: ignores presence from JID
//	Romeo forgets                 drops what has come up to a fence
//	Romeo disconnects             closes the stream politely
//	Romeo is cut off              drops the TCP connection
//	Romeo loses the stream: C     the server ends the stream with condition C
//
// At the end every inbox must be empty behind a fence, so an unexpected stanza
// fails a script anywhere. A fence is a ping (XEP-0199) of every device to the
// server and then of the one asked about: no waiting by time.
//
// Variables: {Romeo} full JID, {Romeo.bare}, {Romeo.resource}, {domain}, and
// names scanned before. In expected XML, as a whole value: {any}, {scan:name}
// (keeps it), {none} (attribute must be absent), {any of: a|b}. Marks on an
// expected element: p:more="yes" (further children and attributes are fine),
// p:absent="yes" (this child must not be there). Without marks, extra children
// and attributes fail ("to" may be missing: it is the stream's own end), but for: xml:lang where none is expected, a stanza-id added by an archive
// (XEP-0359), a server's avatar mark (XEP-0398), and on errors whatever accompanies the condition (RFC 6120 §8.3.1).
//
// Goroutines: those of interop/client. Locks and tables: none. Called by nobody:
// its tests are the runs. It imports nothing of the product.
package scripts
