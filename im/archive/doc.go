// Package archive keeps every message before it is delivered: the fourth verb
// of the message path, commit.
//
// A record is one immutable row per message; waiting rows say for whom it still
// waits. They are written in one transaction, whose flush to disk is what an
// acknowledgement means. The position (session.Pos) is the order for every
// recipient. Each record carries a salted seal and its conversation's own sequence
// number, so that content can be erased later without breaking proofs over what
// stays (seal.go).
//
// What finds a record later is derived from it and written behind it, in sorted
// runs: view rows (in whose archive it is seen), places (of a conversation),
// sendings (so that the same message sent again is kept once). Until then these
// are the tail, in memory (tail.go, index.go); reading an archive first writes
// what its owner's lacks, and after a crash the tail is read back from the records.
//
// A message its recipients' sessions have not confirmed is followed by the
// Ledger: it becomes a waiting row after a few seconds, or at once when the
// server stops; after a crash the rows between the last settled position and
// the end of the log are made again, so a message may come twice to a new
// session (with the same id), but is never missing. What a session holds only a
// reference of becomes a row at the next sweep; Stanzas reads it back by position.
//
// How far the log reaches is noted outside the data set too, by the Witness; a start compares the two, and Repair mends
// what can be mended (witness.go, repair.go, docs/decisions/0007).
//
// What messages say is indexed behind the log by Words, in im/search's tables, a block of 8192 at a time; a search
// reads what is not indexed yet, and asks the views who may see what (search.go, words.go, docs/decisions/0016).
//
// Specifications: XEP-0313 1.1 (mam:2 and mam:2#extended), XEP-0431, XEP-0059, XEP-0359,
// XEP-0160, XEP-0203, XEP-0334 §4.
//
// Tables: conversation, record, view, place, sending, waiting, archive_mark, archive_floor, archive_loss,
// record_quarantine.
// Goroutines: Ledger.Run, Archive.Index, Words.Run and Witness.Run, stopped by their contexts. Locks:
// Archive.mu (one log, one writer), tail.mu (a leaf, for a few map operations),
// Witness.mu (a leaf: one write into the page cache is done under it),
// Ledger.mu (a leaf: taken under a session's lock). im/deliver alone calls
// Append; MAM requests come through the feature value. It does not judge, and
// does not know rooms or policies.
package archive
