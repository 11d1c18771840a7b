package store

// Stats is how a DB stands at a moment.
type Stats struct {
	Queue    int // writes that wait for the writer
	WALPages int // pages in SQLite's write-ahead log; 0 for PostgreSQL
}

// Stats costs nothing worth speaking of.
func (db *DB) Stats() Stats {
	s := Stats{Queue: len(db.w.queue)}
	if e, ok := db.eng.(*lite); ok && e.ckpt != nil {
		s.WALPages = int(e.ckpt.frames.Load())
	}
	return s
}
