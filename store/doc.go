// Package store is the one database handle: SQLite (default) or PostgreSQL behind the same statements.
//
// # Use
//
// Open gives a DB, Migrate brings the schema up to date, Write runs a closure in the one writer's
// transaction, Read runs one with a snapshot. Statements are constants beside the package that owns the table, one text for
// both engines: $1 placeholders, ON CONFLICT … RETURNING, times as integer microseconds, ids as text,
// bool as 0 or 1 in a BIGINT, bytes as []byte in a BYTES column. Three more rules keep the engines alike: a failed
// statement fails its closure; one Rows at a time; text holds neither NUL bytes nor broken UTF-8 (PostgreSQL refuses them).
//
// # Durability
//
// Write returns nil only after the COMMIT is flushed: SQLite in WAL mode with synchronous=FULL, PostgreSQL
// with synchronous_commit=on. What is written at the same time shares one transaction and one flush;
// each closure stands behind its own savepoint. A failed write or flush of the file poisons the DB (Err,
// Failed): every later Write fails, for the kernel may have dropped the pages (HARDENING F3). A full disk fails that batch
// only (IsFull). A connection lost during COMMIT is ambiguous (IsAmbiguous); when the next
// closure runs, its outcome is final: PostgreSQL's old session has ended. The writer's session holds an advisory lock, so that one
// server writes to a database (behind a pooler that takes sessions apart it does not work).
//
// # Goroutines
//
// One writer and, on SQLite, one checkpointer per DB; Close stops both, after what is queued is done.
// Timers close idle readers. No goroutine per call.
//
// # Locks
//
// writer.mu (closing the queue), lite.mu (idle readers) and DB.mu (the poison) are never held across I/O on the
// database, except that an idle reader is closed under lite.mu. None is held while another is taken.
//
// # Owns
//
// The table schema_version (goose's record of what ran). On disk, for SQLite: PATH, PATH-wal, PATH-shm, mode 0600, and
// PATH.lock, which keeps a second server away and holds the first one's process id.
//
// Specifications: none.
//
// It is called by every package that owns tables, and opened by server. It does not know what is stored, has no
// queries of its own, does no retries of closures, and makes no backups. No other package may import the drivers.
package store
