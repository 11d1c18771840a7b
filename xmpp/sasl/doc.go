// Package sasl is the server side of SASL for XMPP: which mechanisms a
// connection may use, and the exchange of each.
//
// Specifications: RFC 6120 §6 (SASL in XMPP, failure conditions §6.5), RFC 5802
// (SCRAM, channel binding flags §6), RFC 7677 (SCRAM-SHA-256; SHA-512 in the same
// way), RFC 9266 (tls-exporter), RFC 5929 §4 (tls-server-end-point), RFC 4616
// (PLAIN), RFC 7628 (OAUTHBEARER), RFC 4013 (SASLprep of passwords), XEP-0440
// (names of the binding types), XEP-0474 (what was announced is proven), EXTERNAL
// (RFC 4422 appendix A, XEP-0178), ANONYMOUS (RFC 4505), and the draft
// draft-schmaus-kitten-sasl-ht-09 (hashed tokens of XEP-0484).
//
// Called by every edge that lets a person in: Config.Mechanisms for what is
// offered, Config.Start for one exchange, Exchange.Next per message. Secrets
// come from Credentials, which im/account meets.
//
// It has no tables, goroutines, locks or sockets; an Exchange belongs to the
// goroutine of its connection. It does not decide how often someone may try
// (im/account does), does not read or write XML, and knows no passwords beyond
// the call that carries one.
package sasl
