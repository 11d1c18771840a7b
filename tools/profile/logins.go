package main

// stepRules sort a login's stacks by what they are for. The first that matches any
// function of the stack holds.
func stepRules() []rule {
	return []rule{
		{"TLS handshake", []string{"crypto/tls.(*Conn).Handshake", "crypto/tls.(*Conn).handshakeContext", own + "edge.Handshake"}},
		{"SASL (SCRAM)", []string{own + "edge/c2s.onNegotiate", own + "edge/c2s.onResponse", own + "im/account."}},
		{"bind, session", []string{own + "edge/c2s.onBind", own + "edge/c2s.(*Stream).bound", own + "edge/c2s.onManage", own + "edge/c2s.onStanza", own + "im/deliver."}},
		{"end", []string{own + "edge/c2s.(*link).finish"}},
		{"stream headers, features", []string{own + "edge/c2s.onHeader"}},
		{"write", []string{own + "edge/c2s.(*outlet)"}},
		{"read, scan, wait", []string{own + "edge/c2s.", own + "edge.(*Lot)", own + "xmpp/"}},
		{"accept", []string{own + "edge."}},
		{"store", []string{own + "store.", own + "im/archive."}},
	}
}

// byStep says which step of a login a stack serves.
func byStep(s sample) string {
	if name, ok := anywhere(s, stepRules()); ok {
		return name
	}
	if name, ok := anywhere(s, runtimeRules()); ok {
		return name
	}
	return "other"
}

// cryptoRules are where arithmetic begins: what is below them is nothing else.
func cryptoRules() []rule {
	return []rule{{"cryptography", []string{"crypto/internal/", "crypto/ecdh.", "crypto/ecdsa.", "crypto/mlkem.", "crypto/hmac.", "crypto/sha256.",
		"crypto/hkdf.", "crypto/aes.", "crypto/cipher.", "crypto/fips140.", "crypto/pbkdf2.", "crypto/subtle.", "math/big."}}}
}

// byLoginKind says what the processor did, with cryptography apart from the rest of TLS.
func byLoginKind(s sample) string {
	switch kind := byKind(s); kind {
	case "garbage collector", "allocation", "system calls: network", "system calls: disk", "SQLite":
		return kind
	default:
		if name, ok := anywhere(s, cryptoRules()); ok {
			return name
		}
		if kind == "TLS and hashes" {
			return "the rest of TLS"
		}
		return kind
	}
}
