// Package disco answers service discovery (XEP-0030 2.5) from the features'
// own data, and knows the server's capabilities hash (XEP-0115 1.6).
//
// It owns no table, starts no goroutine and holds no lock: answers are made
// once. im/deliver calls the handlers; edges announce Caps in stream features.
// It does not ask clients for theirs, and keeps no cache of them.
package disco
