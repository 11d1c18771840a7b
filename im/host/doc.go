// Package host keeps which domains are served beside the configured one, and
// what is set differently on each. It is the one place where that is written: the
// configuration file holds the first domain and what applies where a host says
// nothing (docs/decisions/0014).
//
// Specifications: RFC 7622 §3.2 (a host is a domainpart).
//
// It owns the tables host and host_setting. It starts no goroutine and holds no lock:
// server keeps what is served in memory, and asks here at the start and after a change.
// Called by server; admin/api and admin/command carry its types.
//
// It does not know what a key means (server/host_config.go does) and touches no session,
// certificate or account.
package host
