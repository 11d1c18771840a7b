package store

// What tests outside of the package wait for.

// Queued returns how many writes wait.
func Queued(db *DB) int { return len(db.w.queue) }

// Commits returns how many transactions the writer has committed.
func Commits(db *DB) int64 { return db.w.commits.Load() }

// Closing reports whether Close has shut the queue.
func Closing(db *DB) bool {
	db.w.mu.RLock()
	defer db.w.mu.RUnlock()
	return db.w.closed
}
