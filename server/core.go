package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/feature/avatar"
	"github.com/parlance-im/parlance/feature/disco"
	"github.com/parlance-im/parlance/feature/serviceadmin"
	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/file"
	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/im/pep"
	"github.com/parlance-im/parlance/im/preference"
	"github.com/parlance-im/parlance/im/presence"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/im/trace"
	"github.com/parlance-im/parlance/im/visit"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// core is everything between the disk and the edges.
type core struct {
	cfg      *Config
	log      *slog.Logger
	domain   jid.JID
	meter    *meter.Meter
	trace    *trace.Tracer
	db       *store.DB
	accounts *account.Store
	hosts    *hosts
	guests   *account.Guests
	rosters  *roster.Store
	blocks   *block.Store
	wall     *block.Wall
	wishes   *preference.Store
	visits   *visit.Store
	notices  *serviceadmin.Notices
	stopping *stopping
	presence *presence.Flow
	personal *pep.Flow
	avatars  *avatar.Avatars
	archive  *archive.Archive
	witness  *archive.Witness
	ledger   *archive.Ledger
	files    *file.Store              // nil if nobody can upload
	https    atomic.Pointer[net.Addr] // where the HTTPS port is; set when it is open
	routes   *route.Table
	rooms    *room.Services
	path     *deliver.Path
	disco    *disco.Disco
	attempts *account.Limiter // of registrations, on all hosts together
	features []im.Feature
}

// openCore opens the data set and puts the domain's parts together, from the
// disk upwards. It starts nothing but the store's writer.
func openCore(ctx context.Context, cfg *Config, o Options, accounts account.Config) (*core, error) {
	domain, err := jid.Parse(cfg.Domain)
	if err != nil || !domain.IsDomain() {
		return nil, fmt.Errorf("server: domain %q: %w", cfg.Domain, errors.Join(err, errors.New("not a domain name")))
	}
	c := &core{cfg: cfg, log: o.Log, domain: domain, meter: new(meter.Meter), trace: new(trace.Tracer), stopping: new(stopping)}
	if c.db, err = store.Open(ctx, store.Options{DSN: cfg.DSN(), Log: o.Log, Observe: c.meter.Stored}); err != nil {
		return nil, err
	}
	if c.witness, err = archive.OpenWitness(cfg.Witness()); err != nil {
		return nil, errors.Join(err, c.db.Close())
	}
	if c.witness.Damaged() {
		c.log.Warn("server: the witness could not be read and begins anew: nothing says whether the archive's end is missing", "file", c.witness.Path())
	}
	// HARDENING F23: before anything is written.
	if err = c.witness.Check(ctx, c.db, cfg.dataName()); err == nil {
		err = c.assemble(ctx, o.Version, accounts)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// close closes what openCore opened, if run was not called.
func (c *core) close() error { return errors.Join(c.db.Close(), c.witness.Close()) }

// vouch flushes the witness. If its disk fails, and the data set is on it too, that has failed.
func (c *core) vouch(ctx context.Context) {
	err := c.witness.Run(ctx, c.log)
	if err == nil {
		return
	}
	c.log.Error("server: the witness can't be flushed", "err", err)
	if c.db.Engine() == store.SQLite {
		c.db.Fail(err)
	}
}

func (c *core) assemble(ctx context.Context, version string, accounts account.Config) (err error) {
	if err = c.db.Migrate(ctx, migrations()); err != nil {
		return err
	}
	if accounts.TokenKey, err = tokenKey(c.cfg.Data); err != nil {
		return err
	}
	if err = openHosts(ctx, c); err != nil {
		return err
	}
	c.guests = account.NewGuests(func(domain string) int { return c.hosts.config(domain).Login.Guests })
	accounts.Guests, accounts.Operators = c.guests, operators(c.cfg)
	accounts.MinOf = func(domain string) int { return c.hosts.config(domain).Login.MinPassword }
	c.attempts, c.rooms = account.NewLimiter(30, 30, nil), room.NewServices()
	if c.accounts, err = account.New(ctx, c.db, accounts); err != nil {
		return err
	}
	if c.archive, err = archive.Open(ctx, c.db, time.Now); err != nil {
		return err
	}
	c.archive.WitnessBy(c.witness)
	if err = c.openFiles(ctx); err != nil {
		return err
	}
	if c.wall, err = block.OpenWall(ctx, c.db, c.local); err != nil {
		return err
	}
	if c.notices, err = serviceadmin.OpenNotices(ctx, c.db); err != nil {
		return err
	}
	c.visits = visit.New(c.db, c.log)
	c.routing()
	judge := c.people()
	if c.wishes, err = preference.Open(ctx, c.db, c.rosters, c.log); err != nil {
		return err
	}
	if err = c.paths(judge, version); err != nil {
		return err
	}
	if err = c.hosts.serveAll(ctx); err != nil {
		return err
	}
	c.accounts.OnRemove(c.forget)
	c.accounts.Devices.OnRevoke(func(who jid.JID, device string) {
		c.endDevice(context.WithoutCancel(ctx), who, device, nil, session.NotAuthorized("this device has been removed from the account"))
	})
	c.accounts.OnRevoke(func(who jid.JID) {
		c.path.Disconnect(context.WithoutCancel(ctx), who, "this account has been changed; sign in again")
		// If it was removed: its contacts hear of it, and memory forgets it.
		if err := c.rosters.Forgotten(context.WithoutCancel(ctx), who, c.presence.Carry); err != nil {
			c.log.Error("server: an account's contacts were not told that it is gone", "err", err)
		}
		c.blocks.Drop(who)
		c.wishes.Drop(who)
		c.personal.Nodes().Drop(who)
		c.avatars.Drop(who)
		c.rooms.Drop(context.WithoutCancel(ctx), who, c.accounts)
	})
	return nil
}

// routing makes the table of sessions and the ledger, which know each other.
func (c *core) routing() {
	l := c.cfg.Limits
	c.ledger = archive.NewLedger(c.archive, func() session.Pos { return c.routes.Fanned() }, c.log)
	c.routes = route.NewTable(route.Config{
		Session:  session.Limits{Frames: l.UnackedStanzas, Bytes: int(l.UnackedBytes), Held: session.DefaultLimits.Held},
		Sessions: l.SessionsPerAccount,
		Ledger:   c.ledger,
		Record:   c.archive,
		Overflow: func(s *session.Session) { c.path.Overflow(s) },
		Now:      time.Now,
		Meter:    c.meter,
	})
	c.routes.StartAt(c.archive.Last())
}

// people makes rosters, block lists and presence, and the judge that presence asks.
func (c *core) people() deliver.Judge {
	c.rosters = roster.New(roster.Config{DB: c.db, Routes: c.routes})
	c.blocks = block.New(block.Config{DB: c.db, Routes: c.routes, Log: c.log})
	judge := stages(c.guests, c.wall, c.blocks)
	c.presence = presence.New(presence.Config{
		DB: c.db, Routes: c.routes, Rosters: c.rosters, May: may(judge), Ready: c.blocks.Load,
		Accounts: c.accounts, LocalDomain: c.local, Rate: int64(c.cfg.Limits.PresenceBytes), Log: c.log, Now: time.Now,
	})
	c.personal = pep.New(c.personalConfig(judge))
	c.avatars = avatar.New(c.personal, func(who jid.JID) bool { return c.routes.Sessions(who) != nil })
	return judge
}

func (c *core) paths(judge deliver.Judge, version string) error {
	c.features, c.disco = features(c, version)
	var err error
	c.path, err = deliver.New(deliver.Config{
		Judge: judge, Archive: c.archive, Ledger: c.ledger, Routes: c.routes, Presence: welcoming{followed{c.arrivals(), c.personal, c.avatars}, c},
		Accounts: c.accounts, Rooms: c.rooms, Wishes: c.wishes, Answered: c.personal.Answered, Aside: aside(c.personal), Local: c.local, Features: c.features,
		Log: c.log, Now: time.Now, Meter: c.meter, Trace: c.trace,
		Window: c.cfg.Limits.ResumeWindow.D(), Hibernating: c.cfg.Limits.HibernatingSessions,
	})
	return err
}

// local says whether a domain's people are ours; asked for every stanza.
func (c *core) local(domain string) bool { return c.hosts.of(domain) != nil }

// operators administer every host.
func operators(cfg *Config) (out []jid.JID) {
	for _, o := range cfg.Operators {
		if j, err := jid.Parse(o); err == nil { // Config.Check has seen to it
			out = append(out, j)
		}
	}
	return out
}

// run carries stanzas until stop is called; ledger and index end after the path,
// so that they write down what nobody confirmed and what finds the last messages.
// The returned function stops all.
func (c *core) run(ctx context.Context) (stop func() error) {
	base := context.WithoutCancel(ctx)
	pathCtx, stopPath := context.WithCancel(base)
	behindCtx, stopBehind := context.WithCancel(base)
	path := make(chan error, 1)
	behind := make(chan error, 7) // ledger, index, words, visits, known devices, personal services, rooms
	vouched := make(chan struct{})
	go func() { path <- c.path.Run(pathCtx) }()
	go func() { behind <- c.ledger.Run(behindCtx) }()
	go func() { behind <- c.archive.Index(behindCtx, c.log) }()
	go func() { behind <- archive.NewWords(c.archive).Run(behindCtx, c.log) }()
	go func() { behind <- c.personal.Run(behindCtx) }()
	go func() { behind <- c.rooms.Run(behindCtx) }()
	go func() { behind <- c.visits.Run(behindCtx) }()
	go func() { defer close(vouched); c.vouch(behindCtx) }()
	go func() { c.accounts.Remember(behindCtx, c.log); behind <- nil }()
	stopAside := c.aside(base)
	return func() error {
		stopAside()
		stopPath()
		err := <-path
		c.presence.Stop()
		stopBehind()
		for range cap(behind) {
			err = errors.Join(err, <-behind)
		}
		<-vouched
		return errors.Join(err, c.closeFiles(), c.close())
	}
}

// aside runs what features have to do beside the path; stop ends it and waits.
func (c *core) aside(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, f := range c.features {
		if f.Start == nil {
			continue
		}
		all.Go(func() {
			if err := f.Start(ctx); err != nil && ctx.Err() == nil {
				c.log.Error("server: a feature stopped", "feature", f.Name, "err", err)
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// send carries a message on the server's own behalf; used to give the demo a history.
func (c *core) send(ctx context.Context, from, to jid.JID, text string, at time.Time) error {
	st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.Chat, From: from, To: to}
	st.Add(elem.New(stanza.Space, "body").SetText(text))
	return c.path.Keep(ctx, st, at)
}
