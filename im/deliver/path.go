package deliver

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/im/trace"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Presence is what becomes of presence past the judge (im/presence).
type Presence interface {
	Update(ctx context.Context, s *session.Session, st *stanza.Stanza) (first bool, err error)
	Direct(ctx context.Context, s *session.Session, st *stanza.Stanza) error
	Subscription(ctx context.Context, s *session.Session, st *stanza.Stanza) error
	Probe(ctx context.Context, st *stanza.Stanza) error
	Gone(ctx context.Context, s *session.Session)
}

// Accounts says who exists here.
type Accounts interface {
	Exists(ctx context.Context, bare jid.JID) (bool, error)
}

// Rooms is what becomes of stanzas to rooms; room.Rooms meets it for one service, room.Services for all.
type Rooms interface {
	Serves(to jid.JID) bool
	Presence(ctx context.Context, s *session.Session, st *stanza.Stanza) error
	Unavailable(ctx context.Context, s *session.Session, st *stanza.Stanza)
	Plan(ctx context.Context, s *session.Session, st *stanza.Stanza, sent room.Sent) ([]*room.Message, error)
	Real(m *room.Message) jid.JID
	Admit(ctx context.Context, msgs []*room.Message) error
	Fanout(m *room.Message, pos session.Pos, at time.Time, again bool)
	IQ(ctx context.Context, q *im.IQ) (*elem.Element, error)
	Pass(ctx context.Context, s *session.Session, st *stanza.Stanza) (real jid.JID, done bool, err error)
}

// Wishes says what people want to see in their own archives (im/preference).
type Wishes interface {
	Shows(owner, other jid.JID) bool
}

// Config is what the path runs on. All fields are needed but Wishes, Answered, Aside, Rooms, Meter and Trace.
type Config struct {
	Judge    Judge
	Archive  *archive.Archive
	Ledger   *archive.Ledger
	Routes   *route.Table
	Presence Presence
	Accounts Accounts
	Rooms    Rooms  // nil: there is no service for rooms
	Wishes   Wishes // nil: everybody wants to see everything
	Local    func(domain string) bool
	Features []im.Feature
	// Answered is told of results and errors sessions send to their own account, in
	// answer to requests made in its name; nil: nobody asks any.
	Answered func(ctx context.Context, s *session.Session, st *stanza.Stanza)
	// Aside takes out of a message what is for its sender's own account, before it is
	// judged (XEP-0490 §4.5.3, XEP-0060 §8.6); what it returns goes on, if anything.
	// nil: nothing is.
	Aside func(ctx context.Context, s *session.Session, st *stanza.Stanza) (*stanza.Stanza, error)
	Log   *slog.Logger
	Now   func() time.Time
	Meter *meter.Meter
	Trace *trace.Tracer
	// Window is how long a session can be resumed, Hibernating how many
	// sessions of an account may wait for that (HARDENING §0).
	Window      time.Duration
	Hibernating int
}

// Path carries stanzas of all edges. What it embeds are its parts, each with what it alone keeps: who
// answers requests, who writes the log, who begins and ends sessions, who counts.
type Path struct {
	cfg Config
	*tally
	*replies
	*responder
	*logWriter
	*lifecycle

	catchUp sync.WaitGroup
	ctx     context.Context // ends with Run, for catch-ups
	cancel  context.CancelFunc
}

// New makes a path; Run makes it work. Two features that claim the same IQ are an error.
func New(cfg Config) (*Path, error) {
	if cfg.Rooms == nil {
		cfg.Rooms = (*room.Rooms)(nil)
	}
	p := &Path{cfg: cfg}
	p.tally = &tally{cfg: &p.cfg, meter: cmp.Or(cfg.Meter, new(meter.Meter))}
	p.replies = &replies{cfg: &p.cfg}
	p.responder = &responder{cfg: &p.cfg, handlers: make(map[handlerKey]im.Handler)}
	p.logWriter = newLogWriter(&p.cfg, p.tally, p.fanout)
	p.lifecycle = newLifecycle(&p.cfg, p.replies)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for _, f := range cfg.Features {
		for _, r := range f.IQ {
			if err := p.register(f.Name, r); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// Run carries stanzas until ctx ends; what was accepted by then is finished.
func (p *Path) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.cancel)()
	var wg sync.WaitGroup
	wg.Go(func() { p.runLog(ctx) })
	wg.Go(p.runFan)
	wg.Go(func() { p.runJanitor(ctx) })
	wg.Wait()
	p.catchUp.Wait()
	return nil
}
