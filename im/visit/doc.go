// Package visit keeps when accounts have logged in: the first time, the last time
// and how often. Administrators ask for it (XEP-0133 §4.9), and a welcome is for
// people who are here for the first time (XEP-0133 §4.27).
//
// A login waits for nothing of this: it is noted in memory and written behind, in
// one transaction every few seconds and when the server stops. A crash loses the
// logins of its last seconds; who is asked for before that is found in memory.
//
// It owns the table visit. Goroutine: Store.Run, stopped by its context. Lock:
// Store.mu, a leaf, never held across I/O. server calls Note for each bound session;
// feature/serviceadmin reads.
package visit
