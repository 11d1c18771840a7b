// Package sizing answers "do we need new hardware?": it turns the figures that
// `make bench` measured into CPU, memory, disk and bandwidth for a company, with
// every assumption and formula in the answer.
//
// The figures are bench/sizing/figures.json, compiled in; they say when, with
// which version and on how many cores they were measured.
//
// Specs: none.
//
// Tables: none of a database. Goroutines and locks: none. Called by
// cmd/parlance (`parlance sizing`). It does not look at the machine it runs on,
// and it does not know how fast the reader's processors are: it says how to
// measure that.
package sizing
