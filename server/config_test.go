package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExample_loadsAsTheDefaults(t *testing.T) {
	got, err := Parse(Example())
	if err != nil {
		t.Fatalf("the example does not load: %v", err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Errorf("the example differs from the defaults (-default +example):\n%s", diff)
	}
	if p := got.Check(); len(p) > 0 {
		t.Errorf("the example has problems: %v", p)
	}
}

// The copy in docs is for readers without the binary; `make generate` renews it.
func TestExample_copyInDocsIsFresh(t *testing.T) {
	got, err := os.ReadFile("../docs/parlance.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(Example()), string(got)); diff != "" {
		t.Errorf("docs/parlance.example.toml is not fresh, run make generate (-want +got):\n%s", diff)
	}
}

func TestExample_documentsEveryKey(t *testing.T) {
	lines := strings.Split(string(Example()), "\n")
	keys := map[string]bool{}
	for i, line := range lines {
		name, _, ok := strings.Cut(line, " = ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		keys[name] = true
		if i == 0 || !strings.HasPrefix(lines[i-1], "# ") {
			t.Errorf("key %s has no documentation above it", name)
		}
	}
	for _, k := range Keys() {
		last := k[strings.LastIndexByte(k, '.')+1:]
		if !keys[last] && !strings.Contains(string(Example()), "\n["+k+"]\n") {
			t.Errorf("key %s is not in the example", k)
		}
	}
}

func TestParse_refusals(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string // all must be in the error
	}{
		{"top-level typing error", "domian = 'x'", []string{"line 1", `"domian"`, `nearest known key is "domain"`}},
		{"typing error in a table", "[listen]\nc2s_tsl = []", []string{"line 2", `"listen.c2s_tsl"`, `"listen.c2s_tls"`}},
		{"key in the wrong table", "[login]\nstanza_bytes = '1MiB'", []string{`"limits.stanza_bytes"`}},
		{"key in no table", "c2s = [':1']", []string{`"listen.c2s"`}},
		{"unknown table", "[limit]\n", []string{`"limits"`}},
		{"several at once", "domian = 'x'\nnmae = 'y'", []string{`"domain"`, `"name"`, "line 2"}},
		{"wrong type", "[listen]\nhttps = [1]", []string{"line 2", "found an integer, expected a list"}},
		{"bad duration", "[limits]\nnegotiation = '3x'", []string{"line 2", "not a duration", `"30s"`}},
		{"negative duration", "[limits]\nnegotiation = '-3s'", []string{"negative"}},
		{"bad size", "[limits]\nstanza_bytes = '3 bananas'", []string{"not a size", `"256KiB"`}},
		{"size without unit", "[limits]\nstanza_bytes = 30000", []string{"not a size"}},
		{"size overflow", "[limits]\nstanza_bytes = '9223372036854775807GiB'", []string{"not a size"}},
		{"broken TOML", "domain = \n", []string{"line 1"}},
		{"key twice", "domain = 'a'\ndomain = 'b'", []string{"domain"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.in))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not contain %q", err, w)
				}
			}
		})
	}
}

func TestCheck_findsEachProblem(t *testing.T) {
	tests := []struct {
		key string // of the only problem
		set func(*Config)
	}{
		{"domain", func(c *Config) { c.Domain = "" }},
		{"domain", func(c *Config) { c.Domain = "alice@example.com" }},
		{"domain", func(c *Config) { c.Domain = "example.com:5222" }},
		{"domain", func(c *Config) { c.Domain = "Example.COM" }},
		{"data", func(c *Config) { c.Data = "" }},
		{"storage.dsn", func(c *Config) { c.Storage.DSN = "mysql://x" }},
		{"listen.c2s", func(c *Config) { c.Listen.C2S = []string{"5222"} }},
		{"listen.c2s", func(c *Config) { c.Listen.C2S = []string{":xmpp"} }},
		{"listen.https", func(c *Config) { c.Listen.HTTPS = []string{":5222"} }},
		{"listen", func(c *Config) { c.Listen = Listen{} }},
		{"listen", func(c *Config) { c.Listen = Listen{Metrics: []string{"127.0.0.1:1"}} }}, // nobody could connect
		{"listen.metrics", func(c *Config) { c.Listen.Metrics = []string{":9105"} }},
		{"listen.metrics", func(c *Config) { c.Listen.Metrics = []string{"[::1]:1", "192.0.2.1:1"} }},
		{"tls.cert", func(c *Config) { c.TLS.Cert = "x.pem" }},
		{"tls.min_version", func(c *Config) { c.TLS.MinVersion = "1.1" }},
		{"login.mechanisms", func(c *Config) { c.Login.Mechanisms = nil }},
		{"login.mechanisms", func(c *Config) { c.Login.Mechanisms = []string{"SCRAM-SHA-1"} }},
		{"login.mechanisms", func(c *Config) { c.Login.Mechanisms = []string{"OAUTHBEARER", "DIGEST-MD5"} }},
		{"login.scram_iterations", func(c *Config) { c.Login.ScramIterations = 1 }},
		{"login.min_password", func(c *Config) { c.Login.MinPassword = 7 }},
		{"login.plaintext", func(c *Config) { c.Login.Plaintext = true }},
		{"login.plaintext", func(c *Config) {
			c.Login.Plaintext, c.Listen.C2S = true, []string{"127.0.0.1:1", "192.0.2.1:1"}
		}},
		{"limits.negotiation", func(c *Config) { c.Limits.Negotiation = 0 }},
		{"limits.pre_auth_bytes", func(c *Config) { c.Limits.PreAuthBytes = 9999 }},
		{"limits.stanza_depth", func(c *Config) { c.Limits.StanzaDepth = 1001 }},
		{"limits.hibernating_sessions", func(c *Config) { c.Limits.HibernatingSessions = -1 }},
		{"limits.personal_nodes", func(c *Config) { c.Limits.PersonalNodes = 0 }},
		{"limits.personal_items", func(c *Config) { c.Limits.PersonalItems = 1 }},
		{"limits.personal_item_bytes", func(c *Config) { c.Limits.PersonalItemBytes = 1 }},
		{"limits.personal_bytes", func(c *Config) { c.Limits.PersonalBytes = 1 }},
		{"log.level", func(c *Config) { c.Log.Level = "loud" }},
		{"log.format", func(c *Config) { c.Log.Format = "xml" }},
	}
	for _, tt := range tests {
		c := Default()
		tt.set(c)
		p := c.Check()
		if len(p) != 1 || p[0].Key != tt.key {
			t.Errorf("want one problem at %s, got %v", tt.key, p)
		}
	}
}

func TestCheck_returnsAllProblemsAtOnce(t *testing.T) {
	c := Default()
	c.Domain, c.Log.Level, c.Limits.StanzaDepth = "", "loud", 1
	if p := c.Check(); len(p) != 3 {
		t.Errorf("want 3 problems, got %v", p)
	}
}

func TestCheck_metricsWhereTheyMayBe(t *testing.T) {
	c := Default()
	c.Listen.Metrics = []string{"127.0.0.1:9105", "[::1]:9105"}
	if p := c.Check(); len(p) != 0 {
		t.Error(p)
	}
	c.Listen.Metrics, c.Listen.MetricsAnywhere = []string{":9105"}, true
	if p := c.Check(); len(p) != 0 {
		t.Error(p)
	}
}

func TestCheck_plaintextOnLoopback(t *testing.T) {
	c := Default()
	c.Login.Plaintext, c.Listen.C2S = true, []string{"127.0.0.1:5222", "[::1]:5222", "localhost:5223"}
	if p := c.Check(); len(p) > 0 {
		t.Errorf("loopback listeners refused: %v", p)
	}
}

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "localhost.example.com:1": false, "127.0.0.1": false,
	} {
		if got := Loopback(addr); got != want {
			t.Errorf("Loopback(%q) = %v", addr, got)
		}
	}
}

func TestSizeAndDuration_roundTrip(t *testing.T) {
	for in, want := range map[string]Size{"0B": 0, "10000B": 10000, "256KiB": 256 << 10, "1 MiB": 1 << 20, "2GB": 2e9, "3kB": 3000} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%q: %d, %v", in, s, err)
		}
		var again Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q is written as %q, which reads as %d, %v", in, s, again, err)
		}
	}
	for in, want := range map[string]string{"30s": "30s", "10m": "10m", "90m": "1h30m", "24h": "24h", "0s": "0s", "1h0m5s": "1h0m5s", "200ms": "200ms"} {
		var d Duration
		if err := d.UnmarshalText([]byte(in)); err != nil || d.String() != want {
			t.Errorf("%q: %q, %v", in, d, err)
		}
	}
}

func TestLoad_resolvesPathsFromTheFilesFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "parlance.toml")
	text := "data = 'd'\n[storage]\ndsn = 'sqlite:x.db'\n[tls]\ncert = 'c.pem'\nkey = '/etc/k.pem'\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Data, c.DSN(), c.TLS.Cert, c.TLS.Key, c.AdminSocket()}
	want := []string{filepath.Join(dir, "d"), "sqlite:" + filepath.Join(dir, "x.db"), filepath.Join(dir, "c.pem"), "/etc/k.pem", filepath.Join(dir, "d", "admin.sock")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReload_wholeOrNotAtAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "parlance.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("domain = 'a.test'\n")
	running, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}

	write("domain = 'a.test'\n[log]\nlevel = 'debug'\n")
	next, changed, err := Reload(running, file)
	if err != nil || next.Log.Level != "debug" || !cmp.Equal(changed, []string{"log.level"}) {
		t.Errorf("live key: %v, %v, %v", next, changed, err)
	}

	write("domain = 'b.test'\n[log]\nlevel = 'debug'\n")
	next, _, err = Reload(running, file)
	if err == nil || next != nil || !strings.Contains(err.Error(), "restart is needed for domain") {
		t.Errorf("a key that needs a restart: %v, %v", next, err)
	}

	write("domain = 'a.test'\n[log]\nlevel = 'loud'\n")
	if next, _, err = Reload(running, file); err == nil || next != nil {
		t.Errorf("a wrong value: %v, %v", next, err)
	}
	if running.Domain != "a.test" || running.Log.Level != "info" {
		t.Errorf("the running configuration was touched: %+v", running)
	}
}

func TestDefault_isWhatHardeningDemands(t *testing.T) {
	l := Default().Limits
	if l.Negotiation.D() != 30*time.Second || l.TLSHandshake.D() != 10*time.Second || l.StanzaBytes != 256*KiB ||
		l.PreAuthBytes != 10000 || l.PreAuthElements != 32 || l.SessionsPerAccount != 20 || l.UnackedStanzas != 500 {
		t.Errorf("default limits changed: %+v", l)
	}
}
