// Package attack is HARDENING §1–§3 as tests against a running server: hostile
// bytes over real sockets, judged from outside. A test carries the name of its
// row: TestX3_…, TestA11_…, TestI4_….
//
// Specifications: RFC 6120 §4.9 (how a stream ends), §5, §6, §8.1.2.1 (from),
// §13; RFC 5802 §6, RFC 5929 §4, RFC 9266 and XEP-0440 (channel binding); RFC 6455 and RFC 7395 (WebSocket); XEP-0198 §5, XEP-0203, XEP-0280 §12,
// XEP-0313 §10, XEP-0359 §5, XEP-0478.
//
// CLOSED means: a stream error of the right condition, the closing tag and the
// end of the TCP connection within ten seconds (a second's rule, times ten for
// shared machines); the server lives on, has not panicked, and has written no
// log line over 1 KiB. Counts are a hundredth of the catalogue's; `make attack`
// (-full) takes the catalogue's own, runs one test after the other and prints
// what was measured against each number. docs/attacks.md tells row by row what is
// covered and what is not yet there.
//
// Canary is two honest people who talk all the while, and a third who logs in:
// one for the server most tests share, one each for tests with a server of
// their own, in full runs as a process of its own. An interceptor (tests only) is
// who stands in between with a second certificate.
//
// Goroutines: Canary starts three (sender, echo, logins); Stop ends them.
// An interceptor has one that accepts and two per connection; the end of its test ends them.
// Locks: Canary.mu guards what was measured. Tables: none. It is used by its
// own tests, and never looks into the server but for /proc and its data folder.
package attack
