// Package register is in-band registration (XEP-0077 2.4): people change their
// password, and, where the configuration says so, make an account before they
// log in, with an invitation (XEP-0445) or without.
//
// Table: none; accounts and invitations are im/account's. It starts no goroutine.
// Lock: none of its own (the limiter has one). Called by edge/c2s before a login (Answer)
// and by im/deliver behind one (the handlers); server makes it.
//
// It does not make invitations (feature/invite does), shows no form beyond name
// and password, and never says a password back.
package register
