package stream

// Namespaces of what is negotiated on a stream.
const (
	Space       = "http://etherx.jabber.org/streams"    // RFC 6120 §4.8.1
	Client      = "jabber:client"                       // RFC 6120 §4.8.2
	FramedSpace = "urn:ietf:params:xml:ns:xmpp-framing" // RFC 7395 §3.3.2
	TLSSpace    = "urn:ietf:params:xml:ns:xmpp-tls"     // RFC 6120 §5
	SASLSpace   = "urn:ietf:params:xml:ns:xmpp-sasl"    // RFC 6120 §6
	BindSpace   = "urn:ietf:params:xml:ns:xmpp-bind"    // RFC 6120 §7
	OldSession  = "urn:ietf:params:xml:ns:xmpp-session" // RFC 3921 §3
	SMSpace     = "urn:xmpp:sm:3"                       // XEP-0198
	CSISpace    = "urn:xmpp:csi:0"                      // XEP-0352
	LimitsSpace = "urn:xmpp:stream-limits:0"            // XEP-0478
	SASL2Space  = "urn:xmpp:sasl:2"                     // XEP-0388
	Bind2Space  = "urn:xmpp:bind:0"                     // XEP-0386
	FASTSpace   = "urn:xmpp:fast:0"                     // XEP-0484
	UpgrSpace   = "urn:xmpp:sasl:upgrade:0"             // XEP-0480
	ScramUpgr   = "urn:xmpp:scram-upgrade:0"            // XEP-0480 §3
	CarbonSpace = "urn:xmpp:carbons:2"                  // XEP-0280
	CBSpace     = "urn:xmpp:sasl-cb:0"                  // XEP-0440
)
