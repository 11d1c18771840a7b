// Package login tries ways to log in on the built binary over real connections:
// one step with its extensions (XEP-0388, XEP-0386), tokens of devices across a
// restart and a change of password (XEP-0484, XEP-0077), keys of another hash
// (XEP-0480), invitations (XEP-0401, XEP-0379, XEP-0445) and guests (XEP-0175).
//
// Specifications: those.
//
// Processes: the servers of each test, ended with it. Goroutines: those of
// interop/client. Locks and tables: none. Called by nobody: its tests are the
// runs. It does not look inside the server.
package login
