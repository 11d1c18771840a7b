// Package parlance holds the tests of the house itself: who may import whom,
// the one door of each outside library, sizes, package documents and other
// rules that a machine can check. The program is cmd/parlance.
//
// Specs: none.
//
// Tables: none.
//
// Goroutines: none.
//
// Locks: none.
//
// Called by: nobody; `make house` runs its tests.
//
// It does not hold code of the product.
package parlance
