// Command load runs the benchmarks of package bench against bin/parlance and
// prints a table, which `make bench` keeps in bench/README.md.
//
// Specs: none. Tables: none. Goroutines: those of bench. Locks: none. Called by:
// people, through make. It is no test: it asserts nothing.
package main
