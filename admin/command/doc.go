// Package command is the operator's part of the command line: `parlance user`, `parlance host`,
// `parlance profile` and `parlance trace`.
//
// Specs: none.
//
// Tables: none; im/account keeps the accounts.
//
// Goroutines: none. Locks: none.
//
// Called by: cmd/parlance, which says with an Opener where the accounts are: in
// a running server (admin/api) or in the store itself.
//
// It does not read configuration files and does not open databases; it never
// takes a password from the arguments, where other users of the machine see it.
package command
