// Package version tells which software and version runs (XEP-0092 1.1). The
// operating system is left out: it helps an attacker more than a user.
//
// It owns no table, starts no goroutine and holds no lock. im/deliver calls the
// handler. It does not tell the web client: GET /api/v1/info does.
package version
