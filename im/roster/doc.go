// Package roster keeps people's contact lists and the subscriptions between them.
//
// Specifications: RFC 6121 §2 (roster management, §2.6 versioning), §3
// (subscriptions, §3.4 pre-approval) and Appendix A (the state machine, pure
// functions Outbound and Inbound). Presence itself is im/presence's.
//
// A subscription stanza between two accounts of ours changes both rosters in one
// transaction (Store.Apply); what it causes comes back as Steps in the order the
// RFC wants them, carried out in the order of the commits: the store pushes the
// roster items, the caller delivers the stanzas and the presence.
//
// It owns the tables roster_item, roster_pending and roster_version. It keeps
// the relations of accounts in use in memory (Relations: no names or groups), so
// that a presence broadcast needs no query; accounts with bound sessions are
// never thrown out of it. Roster names and groups are read from the database.
//
// It starts no goroutine. Locks: Store.mu, taken alone, and those of im/cache;
// steps run without any, but one change's at a time. im/deliver calls the IQ handlers, im/presence the
// rest. It does not send presence, ask the block list, or know other servers.
package roster
