// Package pep makes every account a pubsub service at its bare JID: who hears of
// what is published there, and who is told the last of it when coming online.
//
// Specifications: XEP-0163 (1.2.2), XEP-0060 §9.1 (automatic subscriptions), §9.2
// (filtered notifications), XEP-0115 (what a client wants to hear of), XEP-0223.
//
// # Who hears of it
//
// A session is interested in the nodes its capabilities name with "+notify"
// (caps.go; a hash is asked for once and believed only if the answer proves it).
// Notified are the interested sessions of the account itself, of the contacts
// whose presence the account gets, and whoever has subscribed explicitly; each of
// them only if pubsub.Node.Reads says yes at that moment, and Config.May (the
// judge: block lists) as well, and the options of its subscription, if it has one
// (subscriber.go). Owners are asked for approval when they are there, or come.
// Which test tries which feature of XEP-0060 §10 is the table in section_test.go.
//
// # Order
//
// Changes come from im/pubsub in the order of the commits and are carried out by
// one goroutine (Run), as are the last items sent to whoever comes online. So
// nobody is left with an older item than the newest one sent. A handler returns
// when what it caused is in the sessions' queues.
//
// Goroutines: Run, which ends with its context. Locks: capabilities.mu (interests and
// questions on their way), work.mu (the queue) and borrowings.mu (which subscriptions
// end with a presence), each taken alone and for a few
// instructions. It owns no table; im/pubsub does.
//
// It is called with presence, answers to its questions and sessions that end, by
// what server puts between im/deliver and im/presence, and by IQ handlers. Notifications are
// headlines, pushed to sessions through Routes; they are not archived (XEP-0313
// §5.1.1). It does not notify other servers' users: there are none yet.
package pep
