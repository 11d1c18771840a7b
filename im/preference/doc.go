// Package preference keeps what people want to see of their conversations in their own archives (XEP-0441).
//
// The record is always complete: a preference decides whether a message is shown in the archive of the account that
// has it, from then on, and nothing else. The other side's archive is the other side's; a room's is the room's. What is
// not shown is delivered, and waits for who is away, all the same. A sender's hints (XEP-0334) come first: what
// must not be stored is not shown whatever the list says.
//
// All preferences are in memory, since few accounts have any and every message asks: Shows neither allocates nor does it
// go to the database, but for a roster that is not in memory yet.
//
// Specifications: XEP-0441 0.2.0.
//
// Tables: archive_preference. No goroutines. Locks: Store.mu, read for every message and written for a moment after a commit;
// Store.order, held across a write so that memory follows the database. It is called by im/deliver, which asks Shows. It
// does not touch what is in archives already, and offers no ad-hoc form (XEP-0441 §2.2 is optional).
package preference
