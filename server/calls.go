package server

import (
	"time"

	"github.com/parlance-im/parlance/feature/extdisco"
	"github.com/parlance-im/parlance/im"
)

// Calls are servers that clients need to reach each other for calls.
type Calls struct {
	Services []string `toml:"services" live:"yes" host:"yes" doc:"STUN and TURN servers that clients are told of (XEP-0215), like \"turn:turn.example.com:3478?transport=udp\" or \"stun:stun.example.com\"."`
	Secret   string   `toml:"secret" live:"yes" doc:"What the TURN servers share with this one: clients get a name and a password made of it (coturn: use-auth-secret, static-auth-secret). Keep this file to yourself (mode 0600)."`
	Lifetime Duration `toml:"lifetime" live:"yes" doc:"How long they are good."`
	Username string   `toml:"username" live:"yes" doc:"Instead of a secret: the same name for everybody."`
	Password string   `toml:"password" live:"yes" doc:"Its password."`
}

func (c Calls) check(p *Problems) {
	for _, uri := range c.Services {
		if _, err := extdisco.Parse(uri); err != nil {
			p.add("calls.services", "%s", err)
		}
	}
	if c.Secret != "" && c.Username != "" {
		p.add("calls.username", "either a secret or a name and a password")
	}
	if (c.Username == "") != (c.Password == "") {
		p.add("calls.password", "a name and a password go together")
	}
	if d := c.Lifetime.D(); d < time.Minute || d > 30*24*time.Hour {
		p.add("calls.lifetime", "must be between 1m and 720h")
	}
}

// settings are those of a configuration that was checked.
func (c Calls) settings() extdisco.Settings {
	s := extdisco.Settings{Secret: c.Secret, Lifetime: c.Lifetime.D(), Username: c.Username, Password: c.Password}
	for _, uri := range c.Services {
		if one, err := extdisco.Parse(uri); err == nil {
			s.Services = append(s.Services, one)
		}
	}
	return s
}

// callServices is XEP-0215.
func callServices(c *core) im.Feature {
	return extdisco.Feature(extdisco.Config{
		Of: func(domain string) extdisco.Settings { return c.hosts.config(domain).Calls.settings() }, Now: time.Now,
	})
}

// tellServices pushes a host's changed services to those who have asked for them (XEP-0215 §3.2).
func (h *hosts) tellServices(before, after *served) {
	was, is := before.cfg.Calls.settings(), after.cfg.Calls.settings()
	if extdisco.Changed(was, is, after.at, time.Now()) == nil {
		return
	}
	for _, s := range sessionsOf(h.c.routes, after.at) {
		if s.Flags().Services {
			h.c.routes.PushIQ(s, after.at, extdisco.Changed(was, is, s.JID().Bare(), time.Now()))
		}
	}
}
