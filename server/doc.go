// Package server wires the parts together and holds the configuration.
//
// Specs: none of its own; limits are those announced by XEP-0478.
//
// Tables: none.
//
// Goroutines: those of the parts it starts; Run stops them all before it returns.
//
// Locks: none.
//
// Called by: cmd/parlance and server/doctor only.
//
// It does not decide what happens to a stanza: that is im/deliver.
package server
