package main

import (
	"math"
	"strings"
	"testing"
)

const traces = `File: parlance
Type: cpu
Time: Nov 25, 2026 at 4:14am (UTC)
Duration: 10s, Total samples = 3s (30%)
-----------+-------------------------------------------------------
      20ms   runtime.memmove
             modernc.org/sqlite/lib._sqlite3VdbeExec
             github.com/parlance-im/parlance/store.(*liteConn).exec
             github.com/parlance-im/parlance/im/archive.(*Archive).Append.func1
             github.com/parlance-im/parlance/store.call (inline)
             github.com/parlance-im/parlance/store.(*writer).run
-----------+-------------------------------------------------------
     bytes:  64
     1.50s   internal/runtime/syscall/linux.Syscall6
             syscall.write
             internal/poll.(*FD).Write
             crypto/tls.(*Conn).Write
             github.com/parlance-im/parlance/edge/c2s.(*outlet).put
-----------+-------------------------------------------------------
`

func TestParseTraces_stacksAndWeights(t *testing.T) {
	got, err := parseTraces(strings.NewReader(traces))
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v %v", got, err)
	}
	if math.Abs(got[0].weight-0.02) > 1e-9 || len(got[0].frames) != 6 || got[0].frames[4] != own+"store.call" {
		t.Errorf("%+v", got[0])
	}
	if got[1].weight != 1.5 || got[1].frames[0] != "internal/runtime/syscall/linux.Syscall6" {
		t.Errorf("%+v", got[1])
	}
	if verb, kind := byVerb(got[0]), byKind(got[0]); verb != "commit" || kind != "SQLite" {
		t.Error(verb, kind)
	}
	if verb, kind := byVerb(got[1]), byKind(got[1]); verb != "write" || kind != "system calls: network" {
		t.Error(verb, kind)
	}
	if _, err := parseTraces(strings.NewReader("-----------+---\n  many   f\n")); err == nil {
		t.Error("a weight that is no number was read")
	}
}

func TestSort_table(t *testing.T) {
	for _, c := range []struct{ stack, verb, kind string }{
		{"runtime.scanobject runtime.gcDrain runtime.gcBgMarkWorker", "garbage collector", "garbage collector"},
		{"runtime.gcAssistAlloc runtime.mallocgc @im/deliver.plan @im/deliver.(*Inlet).message @edge/c2s.(*link).run", "plan", "garbage collector"},
		{"runtime.mallocgc runtime.growslice @im/route.(*delivery).push @im/route.(*Table).Message @im/deliver.(*Path).runFan", "fanout", "allocation"},
		{"runtime.futex runtime.findRunnable runtime.schedule runtime.mcall", "scheduler", "scheduler"},
		{"internal/runtime/syscall/linux.EpollWait runtime.netpoll runtime.findRunnable runtime.schedule", "scheduler", "scheduler"},
		{"internal/runtime/syscall/linux.Syscall6 syscall.Fsync modernc.org/libc.Xfsync modernc.org/sqlite/lib._unixSync @store.(*writer).run", "commit", "system calls: disk"},
		{"crypto/internal/fips140/aes/gcm.gcmAesDec crypto/tls.(*Conn).Read @edge/c2s.(*link).read", "accept (read, decrypt, scan)", "TLS and hashes"},
		{"@xmpp/elem.(*Scanner).Next @edge/c2s.(*Stream).Feed @edge/c2s.(*link).run", "accept (read, decrypt, scan)", "our own code"},
		{"@xmpp/stanza.Read @im/deliver.accept @im/deliver.(*Inlet).Stanza @edge/c2s.(*link).run", "accept (build the stanza)", "our own code"},
		{"@im/block.(*Store).Verdict @server.stages.func1 @im/deliver.(*Path).judge @im/deliver.(*Inlet).message", "judge", "our own code"},
		{"@im/archive.(*Ledger).collect @im/archive.(*Ledger).settle", "ledger (waiting rows)", "our own code"},
		{"something.else", "other", "other"},
	} {
		s := sample{frames: strings.Fields(strings.ReplaceAll(c.stack, "@", own))}
		if verb, kind := byVerb(s), byKind(s); verb != c.verb || kind != c.kind {
			t.Errorf("%s: %s, %s; want %s, %s", c.stack, verb, kind, c.verb, c.kind)
		}
	}
}

func TestTable_sharesAndOrder(t *testing.T) {
	var b strings.Builder
	table(&b, "CPU", "µs", 1e6, []sample{{1, []string{"a"}}, {3, []string{"b"}}}, 1e6, func(s sample) string { return s.frames[0] })
	if !strings.Contains(b.String(), "| b | 75.0 % | 3.0 |\n| a | 25.0 % | 1.0 |\n| all | 100 % | 4.0 |\n") {
		t.Error(b.String())
	}
}

func TestSort_logins(t *testing.T) {
	for _, c := range []struct{ stack, step, kind string }{
		{"crypto/internal/fips140/edwards25519/field.feMul crypto/ecdh.x25519ScalarMult crypto/tls.(*ecdhKeyExchange).serverSharedSecret crypto/tls.(*Conn).handshakeContext @edge.Handshake",
			"TLS handshake", "cryptography"},
		{"runtime.mallocgc runtime.newobject crypto/internal/fips140/sha256.New crypto/internal/fips140/tls13.ExpandLabel crypto/tls.(*Conn).handshakeContext @edge.Handshake", "TLS handshake", "allocation"},
		{"crypto/tls.(*clientHelloMsg).unmarshal crypto/tls.(*Conn).readHandshake crypto/tls.(*Conn).handshakeContext @edge.Handshake", "TLS handshake", "the rest of TLS"},
		{"internal/runtime/syscall/linux.Syscall6 syscall.write internal/poll.(*FD).Write @edge.(*Conn).Write crypto/tls.(*Conn).flush crypto/tls.(*Conn).handshakeContext @edge.Handshake",
			"TLS handshake", "system calls: network"},
		{"crypto/internal/fips140/sha256.blockSHANI crypto/hmac.New github.com/xdg-go/scram.(*ServerConversation).finalMsg @xmpp/sasl.(*scramExchange).Next @edge/c2s.onResponse @edge/c2s.(*Stream).take",
			"SASL (SCRAM)", "cryptography"},
		{"crypto/internal/fips140/aes/gcm.gcmAesEnc crypto/tls.(*Conn).Write @edge/c2s.(*outlet).put @edge/c2s.onHeader @edge/c2s.(*Stream).take", "stream headers, features", "cryptography"},
		{"@im/route.(*Table).Bind @im/deliver.(*Path).Bind @edge/c2s.(*Stream).bind @edge/c2s.onBind", "bind, session", "our own code"},
		{"@edge/c2s.(*link).farewell @edge/c2s.(*link).finish @edge/c2s.(*link).run", "end", "our own code"},
		{"runtime.futex runtime.schedule runtime.mcall", "scheduler", "scheduler"},
	} {
		s := sample{frames: strings.Fields(strings.ReplaceAll(c.stack, "@", own))}
		if step, kind := byStep(s), byLoginKind(s); step != c.step || kind != c.kind {
			t.Errorf("%s: %s, %s; want %s, %s", c.stack, step, kind, c.step, c.kind)
		}
	}
}
