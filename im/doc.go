// Package im holds what every part of the messaging domain shares: a feature
// as data (Feature), an IQ request and its handler. Order on the message path
// is never registered here: it is lines in im/deliver.
//
// Specifications: none of its own; a feature names its own.
//
// It owns no table, starts no goroutine and holds no lock. Used by the features,
// by server, which lists them, and by im/deliver, which calls their handlers.
package im
