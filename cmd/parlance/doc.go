// Command parlance is the whole product in one binary: it parses the command
// line and calls the package that does the work.
//
// Specs: none.
//
// Tables: none.
//
// Goroutines: the one that turns SIGINT and SIGTERM into the end of the
// context; it ends with the process.
//
// Locks: none.
//
// Called by: people, service managers and the tests of interop, bench and web.
//
// It does not hold logic: server, server/doctor and admin/command do.
package main
