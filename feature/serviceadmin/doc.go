// Package serviceadmin is service administration (XEP-0133 1.3.1): its 31
// commands as values, which feature/adhoc runs, one file per group; and what its
// message of the day and its welcome need: that they are said to whoever comes
// (Greeter).
//
// Who may: accounts that are administrators, on their own domain only (HARDENING
// I10). Commands act on accounts of the domain they were sent to.
//
// What they do is durable when they answer: accounts, lists and notices are
// written in transactions, announcements and greetings are messages that take
// the path and are archived before anybody sees them. Two commands are of our
// own: reports that came with blocks (XEP-0377), and dismissing them.
//
// Get User Password was retracted (XEP-0133 §4.6): it answers not-allowed, for
// passwords are kept as keys that can't be turned back, and is not listed.
//
// Table: notice. No goroutine. Lock: Notices.mu and Greeter.mu, leaves. server wires it and calls Greet.
// It does not decide how the server stops (Config.Stop) and writes no record itself.
package serviceadmin
