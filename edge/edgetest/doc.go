// Package edgetest is what tests of the edges stand on: a path, people and a
// certificate that need no store.
//
// Specifications: none.
//
// Tables: none.
//
// Goroutines: none.
//
// Locks: Core.mu and nothing under it but sessions' own.
//
// Called by: tests of edge/c2s, edge/ws and edge/http only.
//
// It routes messages by full or bare JID and answers pings; it knows no rules of delivery.
package edgetest
