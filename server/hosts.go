package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/c2s"
	"github.com/parlance-im/parlance/feature/disco"
	"github.com/parlance-im/parlance/feature/people"
	"github.com/parlance-im/parlance/feature/upload"
	"github.com/parlance-im/parlance/im/host"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// served is a host as it is served. It never changes: what is set on it makes another.
type served struct {
	at    jid.JID
	cfg   *Config // the file's, with what differs here
	says  *disco.Host
	edge  *c2s.Host
	cert  *tls.Certificate // nil: the first host's
	rooms *room.Rooms      // nil: off
}

// hosts are the domains served. Every stanza asks who they are, so that what
// answers is one load and one look into a map.
type hosts struct {
	c     *core
	store *host.Store
	live  atomic.Pointer[map[string]*served] // by domain; replaced, never changed in place
	keys  atomic.Pointer[edge.Keys]          // nil: nobody can connect
	file  atomic.Pointer[Config]             // as it was read last

	turn   chan struct{}     // full while a change is under way, which goes to the disk
	broken map[string]string // whoever has the turn; why a host is not served that should be
}

// openHosts reads which hosts there are. They are served for the account store and
// whatever asks for their settings; serve does the rest.
func openHosts(ctx context.Context, c *core) error {
	h := &hosts{c: c, store: host.New(c.db), turn: make(chan struct{}, 1), broken: map[string]string{}}
	c.hosts = h
	h.file.Store(c.cfg)
	list, settings, err := h.store.List(ctx)
	if err != nil {
		return err
	}
	live := map[string]*served{}
	for _, e := range append([]host.Host{{Name: c.domain}}, list...) {
		if e.Disabled {
			continue
		}
		cfg, err := hostConfig(c.cfg, e.Name, settings[e.Name.Domain()])
		if err != nil && e.Name == c.domain {
			return fmt.Errorf("server: host %s: %w (parlance host set %s --unset KEY)", e.Name, err, e.Name)
		}
		if err != nil {
			h.unserved(e.Name, err)
			continue
		}
		live[e.Name.Domain()] = &served{at: e.Name, cfg: cfg}
	}
	h.live.Store(&live)
	return nil
}

// unserved notes that a host could not be brought up; the others are.
func (h *hosts) unserved(at jid.JID, err error) {
	h.broken[at.Domain()] = err.Error()
	h.c.log.Error("server: a host is not served", "host", at.String(), "err", err)
}

// of finds a host; nil if it is not served.
func (h *hosts) of(domain string) *served { return (*h.live.Load())[domain] }

// config is what holds on a host; for a domain that is not served, the file's.
func (h *hosts) config(domain string) *Config {
	if v := h.of(domain); v != nil {
		return v.cfg
	}
	return h.file.Load()
}

// edge finds a host for c2s.
func (h *hosts) edge(domain string) *c2s.Host {
	if v := h.of(domain); v != nil {
		return v.edge
	}
	return nil
}

// called is how a host is called, for whoever asks over HTTPS.
func (h *hosts) called(domain string) (name string, ok bool) {
	v := h.of(domain)
	if v == nil {
		return "", false
	}
	return v.cfg.Name, true
}

// says is what a host answers in service discovery.
func (h *hosts) says(domain string) *disco.Host {
	if v := h.of(domain); v != nil {
		return v.says
	}
	return nil
}

// serveAll brings all hosts up at the start, when the features are there.
func (h *hosts) serveAll(ctx context.Context) error {
	for name, v := range *h.live.Load() {
		full, err := h.prepare(ctx, v.at, v.cfg)
		switch {
		case err == nil:
			h.publish(full)
		case v.at == h.c.domain:
			return err
		default:
			h.unserved(v.at, err)
			h.replace(name, nil)
		}
	}
	return nil
}

// prepare makes everything a host needs and shows nothing of it yet.
func (h *hosts) prepare(ctx context.Context, at jid.JID, cfg *Config) (*served, error) {
	v := &served{at: at, cfg: cfg}
	var err error
	if at != h.c.domain {
		if v.cert, err = hostCertificate(h.file.Load(), cfg, time.Now()); err != nil {
			return nil, err
		}
	}
	if v.rooms, err = h.rooms(ctx, cfg); err != nil {
		return nil, err
	}
	items := []jid.JID{}
	if v.rooms != nil {
		items = append(items, v.rooms.Service)
	}
	forms := contactForm(cfg.Contact)
	var features []string
	if cfg.People.Search {
		features = append(features, people.Space)
	}
	if cfg.uploads() {
		forms = append(forms, upload.Form(cfg.Files.MaxSize.Bytes()))
		// Gajim looks for the upload service among the server's items only.
		items = append(items, at)
	}
	v.says = h.c.disco.Host(cfg.Name, forms, items, features...)
	v.edge, err = c2s.NewHost(c2s.Host{Domain: at, Mechanisms: cfg.Login.Mechanisms, Guests: cfg.Login.Guests > 0,
		Register: registration(h.c, cfg), Stanza: edgeLimits(cfg).Stanza,
		Features: []*elem.Element{v.says.Caps(), elem.New("urn:xmpp:features:rosterver", "ver"),
			elem.New("urn:xmpp:features:pre-approval", "sub")}})
	return v, err
}

// rooms is a host's service of rooms: the one it has, or another.
func (h *hosts) rooms(ctx context.Context, cfg *Config) (*room.Rooms, error) {
	domain := cfg.RoomsDomain()
	if domain == "" {
		return nil, nil
	}
	if v := h.of(cfg.Domain); v != nil && v.rooms != nil && v.rooms.Service.Domain() == domain {
		return v.rooms, nil
	}
	return h.c.openRooms(ctx, cfg)
}

// publish serves a host from now on, or with other settings.
func (h *hosts) publish(v *served) {
	old := h.of(v.at.Domain())
	if v.rooms != nil {
		h.c.rooms.Put(v.rooms)
		h.c.rooms.Change(v.rooms.Service.Domain(), roomSettings(v.cfg))
	}
	h.certify(v.at.Domain(), v.cert)
	h.replace(v.at.Domain(), v)
	if old != nil && old.rooms != nil && old.rooms != v.rooms {
		h.c.rooms.Take(old.rooms.Service.Domain())
	}
	if old != nil {
		h.tellServices(old, v)
	}
}

// certify makes handshakes show a host's certificate.
func (h *hosts) certify(domain string, cert *tls.Certificate) {
	keys := h.keys.Load()
	if keys == nil || cert == nil && keys.HostLeaf(domain) == nil {
		return
	}
	if err := keys.SetHost(domain, cert); err != nil {
		h.c.log.Error("server: a host's certificate was not taken", "host", domain, "err", err)
	}
}

// open lets people in: their handshakes show the hosts' certificates.
func (h *hosts) open(keys *edge.Keys) {
	h.keys.Store(keys)
	for domain, v := range *h.live.Load() {
		if v.cert != nil {
			h.certify(domain, v.cert)
		}
	}
}

// replace is called by whoever has the turn, or before anybody else knows of h.
func (h *hosts) replace(domain string, v *served) {
	next := maps.Clone(*h.live.Load())
	if v == nil {
		delete(next, domain)
	} else {
		next[domain] = v
	}
	h.live.Store(&next)
}

// withdraw ends a host: nobody finds it any more, then its people's connections end.
// Nothing of another host is touched but that its people see these leave.
func (h *hosts) withdraw(ctx context.Context, at jid.JID) {
	v := h.of(at.Domain())
	if v == nil {
		return
	}
	h.replace(at.Domain(), nil)
	for _, s := range sessionsOf(h.c.routes, at) {
		s.Kick(hostGone(at))
		h.c.path.End(ctx, s)
	}
	if v.rooms != nil {
		h.c.rooms.Take(v.rooms.Service.Domain())
	}
	h.certify(at.Domain(), nil)
}

// hostGone is RFC 6120 §4.9.3.5.
func hostGone(at jid.JID) *stream.Error {
	return stream.Fail("host-gone", "This server does not serve "+at.Domain()+" any more.")
}

// reload lets another file hold, and reads the certificates of all hosts again; one
// that is no good leaves the old one, and the other hosts alone.
func (h *hosts) reload(ctx context.Context, file *Config) {
	h.turn <- struct{}{}
	defer func() { <-h.turn }()
	_, settings, err := h.store.List(ctx)
	if err != nil {
		h.c.log.Error("server: hosts were not read again", "err", err)
		return
	}
	h.file.Store(file)
	for domain, v := range *h.live.Load() {
		next, err := *v, error(nil)
		if next.cfg, err = hostConfig(file, v.at, settings[domain]); err == nil && v.at != h.c.domain {
			next.cert, err = hostCertificate(file, next.cfg, time.Now())
		}
		if err == nil && next.cert != nil {
			err = fresh(next.cert.Leaf, domain, time.Now())
		}
		if err != nil {
			h.c.log.Error("server: a host keeps the certificate it had", "host", domain, "err", err)
			continue
		}
		h.certify(domain, next.cert)
		h.replace(domain, &next)
		h.tellServices(v, &next)
	}
}

// hostCertificate is the certificate of a host beside the first one: the one that is
// set on it, else the file's where that names it (nil: it is the one shown anyway), else one made by ourselves.
func hostCertificate(file, c *Config, now time.Time) (*tls.Certificate, error) {
	if c.TLS.Cert == file.TLS.Cert && c.TLS.Key == file.TLS.Key {
		if !file.SelfMade() {
			if shared, err := tls.LoadX509KeyPair(file.TLS.Cert, file.TLS.Key); err == nil && shared.Leaf.VerifyHostname(c.Domain) == nil {
				return nil, nil
			}
		}
		own := *c
		own.TLS.Cert, own.TLS.Key = "", ""
		own.Data = filepath.Join(c.Data, "hosts", c.Domain)
		c = &own
	}
	cert, err := certificate(c, now)
	if err == nil {
		err = cert.Leaf.VerifyHostname(c.Domain)
	}
	return &cert, err
}
