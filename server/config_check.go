package server

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Key  string // dotted
	Text string // what is wrong and what to write instead
}

// Problems are all of them; as an error one line each.
type Problems []Problem

// Error lists them, one a line if they are many.
func (p Problems) Error() string {
	if len(p) == 1 {
		return p[0].Key + ": " + p[0].Text
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems:", len(p))
	for _, x := range p {
		b.WriteString("\n  " + x.Key + ": " + x.Text)
	}
	return b.String()
}

func (p *Problems) add(key, format string, args ...any) {
	*p = append(*p, Problem{key, fmt.Sprintf(format, args...)})
}

// Check returns all problems at once; none means that the server can start with
// it as far as can be told without touching files or network (`parlance doctor` touches them).
func (c *Config) Check() Problems {
	var p Problems
	c.checkPlace(&p)
	c.checkListen(&p)
	c.checkTLS(&p)
	c.checkLogin(&p)
	c.checkFiles(&p)
	c.checkLimits(&p)
	c.checkRooms(&p)
	c.checkLog(&p)
	c.Calls.check(&p)
	c.Contact.check(&p)
	return p
}

func (c *Config) checkRooms(p *Problems) {
	if d := c.Rooms.Domain; d != "" && d != "off" {
		if j, err := jid.Parse(d); err != nil || !j.IsDomain() || j.String() != d || d == c.Domain {
			p.add("rooms.domain", "%q is not a domain of its own, like \"conference.example.com\"; \"off\" for none", d)
		}
	}
	if c.Rooms.Occupants < 1 || c.Rooms.Occupants > 100_000 {
		p.add("rooms.occupants", "must be between 1 and 100000")
	}
	if c.Rooms.History < 0 || c.Rooms.History > 200 {
		p.add("rooms.history", "must be between 0 and 200")
	}
}

func (c *Config) checkPlace(p *Problems) {
	// RFC 7622 §3.2: a domainpart is a host name, without port, user or resource.
	j, err := jid.Parse(c.Domain)
	switch {
	case c.Domain == "":
		p.add("domain", "must not be empty: write the part behind the @ of your addresses, like \"example.com\"")
	case err != nil || !j.IsDomain():
		p.add("domain", "%q is not a domain: write only the part behind the @, like \"example.com\"", c.Domain)
	case j.String() != c.Domain:
		p.add("domain", "write it as %q, as it stands in every address", j)
	}
	for _, o := range c.Operators {
		if j, err := jid.Parse(o); err != nil || !j.IsBare() || j.Local() == "" || j.String() != o {
			p.add("operators", "%q is no account: write it like \"somebody@example.com\"", o)
		}
	}
	if c.Data == "" {
		p.add("data", "must not be empty")
	}
	if dsn := c.Storage.DSN; dsn != "" {
		scheme, _, ok := strings.Cut(dsn, ":")
		if !ok || !slices.Contains([]string{"sqlite", "postgres", "postgresql"}, scheme) {
			p.add("storage.dsn", "must begin with \"sqlite:\" or \"postgres://\"")
		}
	}
}

func (c *Config) checkListen(p *Problems) {
	seen := map[string]string{}
	lists := []struct {
		key   string
		addrs []string
	}{
		{"listen.c2s", c.Listen.C2S}, {"listen.c2s_tls", c.Listen.C2STLS}, {"listen.https", c.Listen.HTTPS},
		{"listen.metrics", c.Listen.Metrics},
	}
	n := 0
	for _, l := range lists {
		for _, a := range l.addrs {
			if l.key != "listen.metrics" {
				n++
			}
			_, port, err := net.SplitHostPort(a)
			if err != nil {
				p.add(l.key, "%q is no address: write HOST:PORT, [IPV6]:PORT or :PORT", a)
				continue
			}
			num, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				p.add(l.key, "%q: the port must be a number from 0 to 65535", a)
				continue
			}
			if other, dup := seen[a]; dup && num != 0 {
				p.add(l.key, "%q is listed in %s too", a, other)
			}
			seen[a] = l.key
		}
	}
	for _, a := range c.Listen.Metrics {
		if !c.Listen.MetricsAnywhere && !Loopback(a) {
			p.add("listen.metrics", "%q is not loopback, and whoever gets there can read the numbers; use 127.0.0.1 or [::1], or set metrics_anywhere = true behind a firewall", a)
		}
	}
	if n == 0 {
		p.add("listen", "no address at all: nobody could connect; set at least one of c2s, c2s_tls, https")
	}
}

func (c *Config) checkTLS(p *Problems) {
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		p.add("tls.cert", "cert and key belong together: set both or neither")
	}
	// RFC 7590 §3.1 / HARDENING X13: nothing older than TLS 1.2.
	oneOf(p, "tls.min_version", c.TLS.MinVersion, "1.2", "1.3")
}

var mechanisms = []string{
	"EXTERNAL", "SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "OAUTHBEARER", "PLAIN",
}

func (c *Config) checkLogin(p *Problems) {
	l := c.Login
	if len(l.Mechanisms) == 0 {
		p.add("login.mechanisms", "must not be empty: nobody could log in")
	}
	for _, m := range l.Mechanisms {
		oneOf(p, "login.mechanisms", m, mechanisms...)
	}
	// The web client's stream logs in with the token of its HTTPS login.
	if len(c.Listen.HTTPS) > 0 && len(l.Mechanisms) > 0 && !slices.Contains(l.Mechanisms, "OAUTHBEARER") {
		p.add("login.mechanisms", "OAUTHBEARER is missing: the web client on listen.https needs it")
	}
	// Low round counts are for load tests only, which import accounts with their own flag.
	between(p, "login.scram_iterations", l.ScramIterations, 4096, 10_000_000)
	between(p, "login.min_password", l.MinPassword, 8, 128)
	if d := l.TokenLifetime.D(); d != 0 && (d < time.Hour || d > 365*24*time.Hour) {
		p.add("login.token_lifetime", "%s is out of range: from 1h to 8760h, or 0s for none", l.TokenLifetime)
	}
	if l.ClientCRL != "" && l.ClientCA == "" {
		p.add("login.client_crl", "belongs to an authority: set login.client_ca too")
	}
	if l.ClientCA != "" && !slices.Contains(l.Mechanisms, "EXTERNAL") {
		p.add("login.client_ca", "is of no use without EXTERNAL in login.mechanisms")
	}
	oneOf(p, "login.registration", l.Registration, "closed", "invited", "open")
	oneOf(p, "login.invite", l.Invite, "admins", "everybody")
	if d := l.InviteLifetime.D(); d < time.Hour || d > 365*24*time.Hour {
		p.add("login.invite_lifetime", "%s is out of range: from 1h to 8760h", l.InviteLifetime)
	}
	between(p, "login.guests", l.Guests, 0, 100_000)
	between(p, "login.failures_per_account", l.FailuresPerAccount, 1, 1000)
	between(p, "login.failures_per_source", l.FailuresPerSource, 1, 100_000)
	if l.Plaintext {
		for _, a := range c.Listen.C2S {
			if !Loopback(a) {
				p.add("login.plaintext", "passwords would cross the network readable: listen.c2s has %q, which is not loopback; use 127.0.0.1 or [::1], or switch it off", a)
			}
		}
	}
}

func (c *Config) checkLimits(p *Problems) {
	l := c.Limits
	times := []struct {
		key      string
		v        Duration
		min, max time.Duration
	}{
		{"limits.negotiation", l.Negotiation, time.Second, 10 * time.Minute},
		{"limits.tls_handshake", l.TLSHandshake, time.Second, 5 * time.Minute},
		{"limits.resume_window", l.ResumeWindow, 0, 24 * time.Hour},
	}
	for _, t := range times {
		if t.v.D() < t.min || t.v.D() > t.max {
			p.add(t.key, "%s is out of range: from %s to %s", t.v, Duration(t.min), Duration(t.max))
		}
	}
	sizes := []struct {
		key      string
		v        Size
		min, max Size
	}{
		// RFC 6120 §13.12: a limit on stanza size must not be smaller than 10000 bytes.
		{"limits.pre_auth_bytes", l.PreAuthBytes, 10000, 1 * MiB},
		{"limits.pre_auth_login_bytes", l.PreAuthLoginBytes, 10000, 1 * MiB},
		{"limits.pre_auth_memory", l.PreAuthMemory, 1 * MiB, 16 * GiB},
		{"limits.stanza_bytes", l.StanzaBytes, 10000, 16 * MiB},
		{"limits.unacked_bytes", l.UnackedBytes, 64 * KiB, 64 * MiB},
		{"limits.personal_item_bytes", l.PersonalItemBytes, 16 * KiB, 512 * KiB},
		{"limits.personal_bytes", l.PersonalBytes, 1 * MiB, 1024 * MiB},
	}
	for _, s := range sizes {
		if s.v < s.min || s.v > s.max {
			p.add(s.key, "%s is out of range: from %s to %s", s.v, s.min, s.max)
		}
	}
	if v := l.PresenceBytes; v != 0 && (v < 16*KiB || v > 1024*MiB) {
		p.add("limits.presence_bytes", "%s is out of range: from %s to %s, or 0 for no bound", v, 16*KiB, 1024*MiB)
	}
	between(p, "limits.pre_auth_elements", l.PreAuthElements, 8, 1000)
	between(p, "limits.pre_auth_per_address", l.PreAuthPerAddress, 1, 1_000_000)
	between(p, "limits.pre_auth_connections", l.PreAuthConnections, 1, 1_000_000)
	between(p, "limits.stanza_depth", l.StanzaDepth, 10, 1000)
	between(p, "limits.stanza_elements", l.StanzaElements, 100, 100_000)
	between(p, "limits.stanza_attributes", l.StanzaAttributes, 16, 1000)
	between(p, "limits.stanza_namespaces", l.StanzaNamespaces, 16, 1000)
	between(p, "limits.sessions_per_account", l.SessionsPerAccount, 1, 10_000)
	between(p, "limits.unacked_stanzas", l.UnackedStanzas, 10, 100_000)
	between(p, "limits.hibernating_sessions", l.HibernatingSessions, 0, 1000)
	between(p, "limits.personal_nodes", l.PersonalNodes, 20, 10_000)
	between(p, "limits.personal_items", l.PersonalItems, 100, 100_000)
}

func (c *Config) checkLog(p *Problems) {
	oneOf(p, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(p, "log.format", c.Log.Format, "text", "json")
}

func between(p *Problems, key string, v, lo, hi int) {
	if v < lo || v > hi {
		p.add(key, "%d is out of range: from %d to %d", v, lo, hi)
	}
}

func oneOf(p *Problems, key, v string, allowed ...string) {
	if !slices.Contains(allowed, v) {
		p.add(key, "%q is none of %s", v, strings.Join(allowed, ", "))
	}
}

// Loopback says whether a listen address can only be reached from this machine.
// A host name is looked at literally: only "localhost" counts.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
