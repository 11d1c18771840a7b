// Package doctor looks at a configuration and at the machine it is for, and
// says what to do about what it finds: certificate, DNS, storage, listeners,
// limits, clock. It works offline and beside a running server.
//
// Specs: RFC 6120 §3.2.1 (SRV records), XEP-0368 (direct TLS), RFC 6125's
// successor RFC 9525 (names in certificates) as far as crypto/x509 has it.
//
// Tables: none; it opens an existing data set only to ask its version and size.
//
// Goroutines: none of its own.
//
// Locks: none.
//
// Called by: cmd/parlance (`parlance doctor`).
//
// It does not change anything: it makes no data set, no certificate and no
// record. It writes a small file to the folder of files, or an object to their bucket, reads
// it and removes it again; beside that it never sends anything but DNS queries for the
// configured domain.
package doctor
