package stanza

import "time"

// Stamp is a time as XEP-0082 §3.2 writes it.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
