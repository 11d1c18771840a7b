package server

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parlance-im/parlance/feature/serviceadmin"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/host"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// What an operator does with hosts; admin/api and admin/command call it. Each
// change is on disk before it is seen, and one is made at a time.

type operating struct{ *hosts }

// alone runs a change when it is its turn.
func (h operating) alone(ctx context.Context, f func(context.Context) error) error {
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-h.turn }()
	return f(context.WithoutCancel(ctx)) // half a host is none
}

// Add adds a host and serves it at once, with its rooms and its certificate.
func (h operating) Add(ctx context.Context, at jid.JID, set host.Settings) error {
	return h.alone(ctx, func(ctx context.Context) error {
		list, settings, err := h.store.List(ctx)
		if err != nil {
			return err
		}
		if err := hostable(at); err != nil {
			return err
		}
		if at == h.c.domain || slices.ContainsFunc(list, func(e host.Host) bool { return e.Name == at }) {
			return host.ErrExists
		}
		v, err := h.ready(ctx, at, set, list, settings)
		if err != nil {
			return err
		}
		if err := h.store.Add(ctx, at, set, time.Now()); err != nil {
			return err
		}
		h.publish(v)
		return nil
	})
}

// hostable says why a domain can't be a host.
func hostable(at jid.JID) error {
	// It is also a folder's name (DATA/hosts/HOST).
	if !at.IsDomain() || !filepath.IsLocal(at.Domain()) || strings.ContainsAny(at.Domain(), `/\:[]`) || strings.HasPrefix(at.Domain(), ".") {
		return host.Refuse("%q is not a domain: write only the part behind the @, like \"example.com\"", at.String())
	}
	return nil
}

// ready checks what a host would be and makes it, unseen.
func (h operating) ready(ctx context.Context, at jid.JID, set host.Settings, list []host.Host, settings map[string]host.Settings) (*served, error) {
	cfg, err := hostConfig(h.file.Load(), at, set)
	if err != nil {
		return nil, err
	}
	if at == h.c.domain && (set["tls.cert"]+set["tls.key"] != "") {
		return nil, host.Refuse("the certificate of %s stands in the configuration file", at)
	}
	taken := map[string]string{} // address → whose it is
	for _, e := range append([]host.Host{{Name: h.c.domain}}, list...) {
		if e.Name == at {
			continue
		}
		taken[e.Name.Domain()] = e.Name.Domain()
		if other, err := hostConfig(h.file.Load(), e.Name, settings[e.Name.Domain()]); err == nil {
			taken[other.RoomsDomain()] = e.Name.Domain()
		}
	}
	delete(taken, "")
	for _, address := range []string{at.Domain(), cfg.RoomsDomain()} {
		if whose, ok := taken[address]; ok {
			return nil, host.Refuse("%s belongs to %s", address, whose)
		}
	}
	v, err := h.prepare(ctx, at, cfg)
	if err != nil {
		return nil, host.Refuse("%s", err)
	}
	return v, nil
}

// Set changes what is set on a host; it holds at once, for streams that begin.
func (h operating) Set(ctx context.Context, at jid.JID, c host.Change) error {
	return h.alone(ctx, func(ctx context.Context) error {
		e, list, settings, err := h.find(ctx, at)
		if err != nil {
			return err
		}
		set := host.Settings{}
		for k, v := range settings[at.Domain()] {
			set[k] = v
		}
		for _, k := range c.Unset {
			if _, ok := set[k]; !ok {
				return host.Refuse("%s is not set on %s", k, at)
			}
			delete(set, k)
		}
		for k, v := range c.Set {
			set[k] = v
		}
		v, err := h.ready(ctx, at, set, list, settings)
		if err != nil {
			return err
		}
		if err := h.store.Set(ctx, at, c); err != nil {
			return err
		}
		if !e.Disabled {
			h.publish(v)
			delete(h.broken, at.Domain())
		}
		return nil
	})
}

// Disable ends a host for a while, or serves it again; all it has stays.
func (h operating) Disable(ctx context.Context, at jid.JID, disabled bool, notice string) error {
	return h.alone(ctx, func(ctx context.Context) error {
		if at == h.c.domain {
			return errHome(at)
		}
		_, list, settings, err := h.find(ctx, at)
		if err != nil {
			return err
		}
		if disabled {
			h.tell(ctx, at, notice)
			if err := h.store.Disable(ctx, at, true); err != nil {
				return err
			}
			h.withdraw(ctx, at)
			return nil
		}
		v, err := h.ready(ctx, at, settings[at.Domain()], list, settings)
		if err != nil {
			return err
		}
		if err := h.store.Disable(ctx, at, false); err != nil {
			return err
		}
		h.publish(v)
		delete(h.broken, at.Domain())
		return nil
	})
}

// Remove ends a host. Its accounts, rosters and rooms stay and are there again if
// it is added again, or go with purge; the archive stays in any case.
func (h operating) Remove(ctx context.Context, at jid.JID, r host.Removal) error {
	return h.alone(ctx, func(ctx context.Context) error {
		if at == h.c.domain {
			return errHome(at)
		}
		_, _, settings, err := h.find(ctx, at)
		if err != nil {
			return err
		}
		h.tell(ctx, at, r.Notice)
		// With purge the row goes last: what a crash leaves undone can be done again.
		if r.Purge {
			err = h.store.Disable(ctx, at, true)
		} else {
			err = h.store.Remove(ctx, at)
		}
		if err != nil {
			return err
		}
		h.withdraw(ctx, at)
		delete(h.broken, at.Domain())
		if !r.Purge {
			return nil
		}
		cfg, _ := hostConfig(h.file.Load(), at, settings[at.Domain()]) // nil if its settings are no good any more
		if err := h.purge(ctx, at, cfg); err != nil {
			return err // the host is disabled and can be removed again
		}
		return h.store.Remove(ctx, at)
	})
}

func errHome(at jid.JID) error {
	return host.Refuse("%s is the domain of the configuration file: it can't be taken away while the server runs on it", at)
}

// find is the host's row, with all others.
func (h operating) find(ctx context.Context, at jid.JID) (e host.Host, list []host.Host, settings map[string]host.Settings, err error) {
	if list, settings, err = h.store.List(ctx); err != nil {
		return e, nil, nil, err
	}
	if at == h.c.domain {
		return host.Host{Name: at}, list, settings, nil
	}
	for _, e := range list {
		if e.Name == at {
			return e, list, settings, nil
		}
	}
	return e, nil, nil, host.ErrNotFound
}

// farewellPause lets clients read what they are told before their streams end.
const farewellPause = time.Second

// tell says something to everybody of a host who has a session; it is in the archive too.
func (h operating) tell(ctx context.Context, at jid.JID, notice string) {
	who := map[jid.JID]struct{}{}
	for _, s := range sessionsOf(h.c.routes, at) {
		who[s.JID().Bare()] = struct{}{}
	}
	if notice == "" || len(who) == 0 {
		return
	}
	_, err := h.c.path.Announce(ctx, func(yield func(*stanza.Stanza) bool) {
		for to := range who {
			st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.Normal, From: at, To: to}
			st.Add(elem.New(stanza.Space, "body").SetText(notice))
			if !yield(st) {
				return
			}
		}
	})
	if err != nil {
		h.c.log.Error("server: people were not told that their host goes", "host", at.String(), "err", err)
	}
	<-time.After(farewellPause)
}

// sessionsOf are the sessions of a host's people.
func sessionsOf(routes *route.Table, at jid.JID) (out []*session.Session) {
	routes.Each(func(s *session.Session) {
		if s.JID().Domain() == at.Domain() {
			out = append(out, s)
		}
	})
	return out
}

// purge removes what a host's people own. The record is not theirs: it stays.
func (h operating) purge(ctx context.Context, at jid.JID, cfg *Config) error {
	c := h.c
	for {
		page, err := account.Of(c.accounts, at.Domain()).List(ctx, "", 500, false)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, a := range page {
			if err := c.accounts.Remove(ctx, a.JID); err != nil && !errors.Is(err, account.ErrNotFound) {
				return err
			}
		}
	}
	for _, kind := range []string{serviceadmin.MOTD, serviceadmin.Welcome} {
		if _, err := c.notices.Drop(ctx, at, kind); err != nil {
			return err
		}
	}
	var service jid.JID
	if cfg != nil && cfg.RoomsDomain() != "" {
		var err error
		if service, err = jid.Parse(cfg.RoomsDomain()); err != nil {
			return err
		}
	}
	nodes := c.personal.Nodes()
	defer nodes.Drop(at)
	return c.db.Write(ctx, func(tx *store.Tx) error {
		if err := nodes.Forget(tx, at); err != nil || service.IsZero() { // the domain's own
			return err
		}
		return room.Purge(tx, service)
	})
}

// List is all hosts, the configured one first, without their settings.
func (h operating) List(ctx context.Context) (out []host.State, err error) {
	err = h.alone(ctx, func(ctx context.Context) error {
		list, _, err := h.store.List(ctx)
		if err != nil {
			return err
		}
		for _, e := range append([]host.Host{{Name: h.c.domain}}, list...) {
			st, err := h.state(ctx, e)
			if err != nil {
				return err
			}
			out = append(out, st)
		}
		return nil
	})
	return out, err
}

// Show is one host, with all that can be set on it.
func (h operating) Show(ctx context.Context, at jid.JID) (out host.State, err error) {
	err = h.alone(ctx, func(ctx context.Context) error {
		e, _, settings, err := h.find(ctx, at)
		if err != nil {
			return err
		}
		if out, err = h.state(ctx, e); err != nil {
			return err
		}
		own := settings[at.Domain()]
		cfg, err := hostConfig(h.file.Load(), at, own)
		if err != nil { // shown as far as it can be, or nobody could mend it
			out.Broken = err.Error()
			for k, v := range own {
				out.Settings = append(out.Settings, host.Setting{Key: k, Value: v, Own: true})
			}
			return nil
		}
		out.Settings = hostSettings(cfg, own)
		return nil
	})
	return out, err
}

func (h operating) state(ctx context.Context, e host.Host) (st host.State, err error) {
	st = host.State{Name: e.Name.Domain(), Home: e.Name == h.c.domain, Disabled: e.Disabled, Created: e.Created,
		Broken: h.broken[e.Name.Domain()], Sessions: len(sessionsOf(h.c.routes, e.Name))}
	if v := h.of(e.Name.Domain()); v != nil {
		if v.rooms != nil {
			st.Rooms = v.rooms.Service.Domain()
		}
		if v.cert != nil {
			st.Until = v.cert.Leaf.NotAfter
		} else if keys := h.keys.Load(); keys != nil {
			st.Until = keys.Leaf().NotAfter
		}
	}
	st.Accounts, _, err = account.Of(h.c.accounts, e.Name.Domain()).Tally(ctx)
	return st, err
}
