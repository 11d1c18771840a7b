// Package displayed is the server's help with what an account has read
// (XEP-0490 1.0.1 §4.5): a message says how far, beside what it says to the other
// side, and the server keeps that for the account's other devices.
//
// The item lies in the account's node urn:xmpp:mds:displayed:0, which im/pubsub
// keeps. It owns no table, starts no goroutine and holds no lock. im/deliver calls
// Take, through server, for every message before it is judged. It does not look
// at the ids it keeps, nor move anything forward.
package displayed
