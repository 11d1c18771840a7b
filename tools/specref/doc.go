// Command specref keeps the citations of specifications honest. It reads every
// "RFC 6121 §8.5.2" and "XEP-0198 §5" in the sources, checks the section
// against docs/specs.tsv and writes docs/spec-index.md, which leads from a
// section to the files that cite it.
//
//	specref             check, and write the index
//	specref -check      check, and fail if the index is not fresh
//	specref -xeps DIR   rewrite the XEP lines of docs/specs.tsv from a checkout of the XEPs
//
// Specs: all those in docs/specs.tsv, by number only.
//
// Tables: none.
//
// Goroutines: none.
//
// Locks: none.
//
// Called by: make specref and make generate, in the root folder.
//
// It does not know whether the code does what the section says.
package main
