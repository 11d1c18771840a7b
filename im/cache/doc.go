// Package cache is what the messaging domain keeps in memory about accounts in
// use: one immutable value per account (Cache), replaced in the order of the
// commits that changed it (Order). Rosters and block lists are such values.
//
// Specifications: none; HARDENING §0 (bounded memory) asks for it.
//
// It owns no table and starts no goroutine: loads and effects run in the
// goroutines of its callers. Locks: one per shard of a Cache and one per Order,
// held for a few instructions, never across a load or an effect. Under a
// shard's lock only the callback "in use" is called, which may take locks of
// im/route.
//
// im/roster and im/block call it. It reads and writes no database of its own,
// knows nothing of other nodes, and keeps nothing over a restart.
package cache
