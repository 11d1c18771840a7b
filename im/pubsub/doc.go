// Package pubsub is the publish-subscribe engine: services with nodes, their
// items, configuration, affiliations and subscriptions. It knows what is stored
// and who may do what; who hears of it is im/pep's.
//
// Specifications: XEP-0060 (1.30.0; leaf nodes only, no collections), XEP-0223,
// XEP-0059 (pages of items).
//
// # Authorisation
//
// One function says who may read a node (Node.Reads): it is asked when items are
// requested, when somebody subscribes, and again for each notification at the
// moment it goes out. It takes what the owner's roster says now (Relation), so
// that whoever is taken out of it gets nothing from then on, whatever
// subscriptions are kept. Node.Publishes and Node.Manages are the others.
//
// # Subscriptions
//
// An address has one subscription to a node: multi-subscribe (XEP-0060 §6.1.6) is
// not offered, and so there are no subscription ids. Its Options say when it
// ends and in which presence it is told (options.go); a lease that has ended is
// as if it were not there, and is taken away with the next change of the node.
// Where an owner has to approve, Decide takes its answer and Command lists what
// waits (approve.go).
//
// # Writing
//
// Store.Do runs a Writing in one transaction: it reads nodes as they are there,
// changes them, and lists its Changes. Config.Convert is called within it, so
// that what is derived from a change (bookmarks in their older form, for one)
// is on disk with it or not at all. After the commit the changes go, in the
// order of the commits, to Config.Changed.
//
// # Owns
//
// The tables pubsub_node, pubsub_affiliation, pubsub_subscription and
// pubsub_item. Nodes of accounts in use, and the newest of their items where they
// are small, are kept in memory.
// It starts no goroutine. Locks: those of im/cache.
//
// im/pep calls it, and features that keep something in nodes. It sends nothing,
// knows no sessions, and reads no rosters itself.
package pubsub
