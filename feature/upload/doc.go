// Package upload is HTTP File Upload: slots over XMPP, contents over HTTPS.
//
// Specifications: XEP-0363 1.2.0 with all four purposes where they can be kept,
// XEP-0128 (the size limit in the server's disco#info), XEP-0264 as far as a
// server has a part in it (thumbnails to point to), RFC 9110 (ranges, conditions).
//
// The service is the server itself, with an identity store/file, and listed
// among its own items: see docs/decisions/0011.
//
// Tables: none, files are im/file's. Goroutines: none of its own; Start is
// im/file's sweeper. Locks: none.
//
// Called by: im/deliver (the slot request) and edge/http (PUT, GET, HEAD,
// OPTIONS), which server gives its routes.
//
// It trusts nothing a client calls a file but a shown name, serves nothing a
// browser would run, looks at no cookie, and does not know who may read a
// message: whoever has an address may fetch the file (XEP-0363 §2).
package upload
