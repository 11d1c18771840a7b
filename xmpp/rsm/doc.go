// Package rsm reads and writes result set management (XEP-0059 1.0.1): which
// page of a long list is asked for and which was given.
//
// It has no goroutines, sockets or tables. It does not know what an id is: that
// is its caller's business; the archive is the first (XEP-0313 §4.3).
package rsm
