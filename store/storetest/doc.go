// Package storetest runs a test against both engines of package store.
//
// SQLite lives in the test's temporary directory. PostgreSQL is started once per test process from
// Debian's package, on a unix socket in a temporary directory, without TCP, as an unprivileged user;
// each test gets an empty database of its own. The server is the child of a small shell
// that reads from a pipe of the test process: when that process ends, in whatever way, the shell stops the
// server by its process id and removes the directory. Main does the same in an orderly way.
//
// Specifications: none. Locks: one, around the one server of the process.
//
// It is called by the tests of packages that own tables. It starts no goroutine that outlives a call.
// It does not test performance: the server runs without fsync.
package storetest
