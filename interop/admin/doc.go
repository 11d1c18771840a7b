// Package admin tries the administration by protocol on the built binary over
// real connections: each command of XEP-0133 by an administrator, refused to
// others, wrongly filled in, and what it did after a restart; contact addresses
// (XEP-0157), reports (XEP-0377), and what `parlance export` and `parlance
// import` carry from one server to another (XEP-0227).
//
// Specifications: XEP-0050, XEP-0133, XEP-0157, XEP-0227, XEP-0377.
//
// Processes: the servers of each test, ended with it. Goroutines: those of
// interop/client. Locks and tables: none. Called by nobody: its tests are the
// runs. It does not look inside the server.
package admin
