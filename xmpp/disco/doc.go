// Package disco is the vocabulary of service discovery (XEP-0030 2.5) and
// entity capabilities (XEP-0115 1.6): an entity's identities and features, and
// the hash that stands for them.
//
// It has no goroutines, sockets or tables. Used by feature/disco, which
// answers with it, and by server for the hash that edges announce; it keeps no cache of others' answers.
package disco
