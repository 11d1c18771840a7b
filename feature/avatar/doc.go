// Package avatar makes one picture of the two ways to publish it: user avatars in
// pubsub (XEP-0084 1.1.4) and the photo of a vCard (XEP-0153 1.1.1), as XEP-0398
// 1.0.0 wants it.
//
// The picture is kept once, in the pubsub nodes. A vCard shows it to whoever may
// read these nodes; one that is set in a vCard goes there. Stamp puts its hash
// into presence, and contacts are told when it changes.
//
// It owns no table and starts no goroutine; hashes of accounts in use are kept in
// memory. Locks: those of im/cache. It is called by feature/vcard, which asks for
// the picture and sets it through an interface of its own, and by server, which
// puts Stamp before presence and Changed behind a change. It does not resize or re-encode pictures.
package avatar
