// Package last answers XEP-0012 (2.0): how long the server has been up, and
// when an account's last session left, to those who may see its presence.
//
// It owns no table (im/presence keeps last_seen), starts no goroutine and holds
// no lock. im/deliver calls the handlers. Requests to a full address are passed
// on to that session by the path, not answered here.
package last
