// Package form reads and writes data forms (XEP-0004 2.13): a list of fields
// with values, submitted or offered, and the FORM_TYPE that names their
// meaning (XEP-0068).
//
// It has no goroutines, sockets or tables. Features that take forms call it;
// it does not know what a field means.
package form
