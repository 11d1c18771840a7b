// Package extdisco tells clients which services outside XMPP there are for calls: STUN
// and TURN servers (XEP-0215 1.0.0), with credentials that are good for a while.
//
// The operator lists the services as URIs (turn:turn.example.com:3478?transport=udp). A TURN
// server that shares a secret with this one takes a user name that says until when it
// is good and its HMAC as the password (XEP-0215 §3.3: TURN REST); coturn and others know the scheme. Accounts
// of the host are answered, nobody else. Who asked is told when the services change.
//
// It owns no table, starts no goroutine and holds no lock: who asked is a flag of the session.
// im/deliver calls the handlers, the server's reload calls Changed. It does not reach the
// services, and does not know whether they are there.
package extdisco
