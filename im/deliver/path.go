package deliver

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
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
	Rooms    *room.Rooms // nil: there is no service for rooms
	Wishes   Wishes      // nil: everybody wants to see everything
	Local    func(domain string) bool
	Features []im.Feature
	// Answered is told of results and errors sessions send to their own account, in
	// answer to requests made in its name; nil: nobody asks any.
	Answered func(ctx context.Context, s *session.Session, st *stanza.Stanza)
	// Aside takes out of a message what is for its sender's own account, before it is
	// judged; nil: nothing is (XEP-0490 §4.5.3).
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

// Path carries stanzas of all edges.
type Path struct {
	cfg      Config
	meter    *meter.Meter
	handlers map[handlerKey]im.Handler

	log     chan *submission
	fan     chan []*submission
	stopped chan struct{} // closed when the log writer has ended
	ending  chan *session.Session
	catchUp sync.WaitGroup
	ctx     context.Context // ends with Run, for catch-ups
	cancel  context.CancelFunc

	told   time.Time // when the log last heard of a failed commit; owner: the log writer
	failed int       // submissions that failed since; owner: the log writer

	mu          sync.Mutex
	hibernating map[*session.Session]struct{} // owner: mu
}

type handlerKey struct {
	scope        im.Scope
	typ          stanza.Type
	space, local string
}

// New makes a path; Run makes it work. Two features that claim the same IQ are an error.
func New(cfg Config) (*Path, error) {
	p := &Path{
		cfg:      cfg,
		meter:    cmp.Or(cfg.Meter, new(meter.Meter)),
		handlers: make(map[handlerKey]im.Handler),
		log:      make(chan *submission, 1024),
		fan:      make(chan []*submission, 4),
		stopped:  make(chan struct{}),
		ending:   make(chan *session.Session, 1024),

		hibernating: make(map[*session.Session]struct{}),
	}
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

func (p *Path) register(feature string, r im.Route) error {
	types := []stanza.Type{r.Type}
	if r.Type == "" {
		types = []stanza.Type{stanza.Get, stanza.Set}
	}
	for _, scope := range []im.Scope{im.ToHost, im.ToSelf, im.ToAccount} {
		if r.Scope&scope == 0 {
			continue
		}
		for _, t := range types {
			k := handlerKey{scope, t, r.Space, r.Local}
			if p.handlers[k] != nil {
				return errors.New("deliver: " + feature + ": " + r.Space + " " + r.Local + " is claimed twice")
			}
			p.handlers[k] = r.Handle
		}
	}
	return nil
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

// Overflow ends a session whose queue is full; for route.Config. It does not block.
func (p *Path) Overflow(s *session.Session) {
	select {
	case p.ending <- s:
	default:
		// The janitor is far behind: the session takes nothing any more and its
		// connection is being closed, which ends it too.
	}
}

// reply sends an error for a stanza back to the session it came from.
func (p *Path) reply(s *session.Session, st *stanza.Stanza, e *stanza.Error) {
	if st.Type == stanza.Error_ || (st.Kind == stanza.IQ && st.Type == stanza.Result) {
		return // RFC 6120 §8.3.1
	}
	from := st.To
	if from.IsZero() {
		from = s.JID().Bare()
	}
	out := elem.New(stanza.Space, st.Kind.String(), "from", from.String(), "to", s.JID().String(), "type", "error")
	if st.ID != "" {
		out.Set("id", st.ID)
	}
	if e.About != nil {
		out.Add(e.About)
	}
	p.cfg.Routes.Push(s, route.EncodeElement(st.Kind, out.Add(e.Element())))
}

// asError turns any error into what the sender may know of it: details of an
// unexpected one stay in the log, under the incident's id.
func (p *Path) asError(err error, st *stanza.Stanza) *stanza.Error {
	var se *stanza.Error
	if errors.As(err, &se) {
		return se
	}
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	incident := hex.EncodeToString(b[:])
	p.cfg.Log.Error("deliver: a stanza failed", "incident", incident, "kind", st.Kind.String(),
		"from", st.From.String(), "err", err)
	return stanza.Fail("internal-server-error", "incident "+incident+"; your administrator finds it in the log")
}
