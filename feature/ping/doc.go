// Package ping answers XEP-0199 pings to the server and, for an account, to
// its bare address.
//
// It owns no table, starts no goroutine and holds no lock. im/deliver calls the
// handler. Pings to a full address are passed on to that session by the path,
// not answered here.
package ping
