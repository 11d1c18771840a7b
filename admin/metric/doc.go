// Package metric shows what im/meter counts, and how the process stands, to
// Prometheus: the text at /metrics.
//
// Specs: the Prometheus text format 0.0.4 and OpenMetrics 1.0, as the client
// library writes them. Names are listed in testdata/names.txt: a dashboard or
// an alert somewhere depends on each, so that they are not changed lightly.
//
// Tables: none.
//
// Goroutines: Serve starts those of net/http and ends them before it returns.
// Locks: none of its own; a scrape takes, one after the other, the leaf locks of who is counted.
//
// Called by: server makes it and serves it on [listen] metrics; admin/api shows
// it on the admin socket. It is the door of prometheus/client_golang, whose
// types stay in here.
//
// It names no account, address or conversation, and it does not authenticate:
// who reaches the listener reads the numbers, which is why that is loopback
// unless the configuration says otherwise.
package metric
