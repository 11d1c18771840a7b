package session

import (
	"sync"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// Limits bound what one session may make the server hold (HARDENING §0).
type Limits struct {
	Frames int // stanzas not confirmed yet
	Bytes  int // of those that are in memory; one that was given back to the archive counts placeSize
	Held   int // frames held back from an inactive client (XEP-0352)
}

// DefaultLimits are the values of HARDENING §0.
var DefaultLimits = Limits{Frames: 500, Bytes: 1 << 20, Held: 100}

// Presence is what a session last announced (RFC 6121 §4.2).
type Presence struct {
	Available bool
	Priority  int8
	// Stanza is the last available presence, "from" stamped, without "to".
	Stanza *stanza.Stanza
	Since  time.Time
}

// Flags are what a client switched on for its session.
type Flags struct {
	Interested bool // asked for the roster, gets roster pushes (RFC 6121 §2.1.6)
	Carbons    bool // XEP-0280 §4
	Inactive   bool // XEP-0352 §3
	Spared     bool // is changing its own password: not ended by that
	Blocklist  bool // asked for the block list, gets its pushes (XEP-0191 §3.2)
	Services   bool // asked for services outside XMPP, hears of changes (XEP-0215 §3.2)
	// Archive says that the client has read the archive itself up to the end, so
	// that waiting messages from ArchiveFrom to ArchivePos need not be sent to it.
	Archive                 bool
	ArchiveFrom, ArchivePos Pos
	ArchiveLast             Pos // the newest of its last page: it may read on from there
}

// Session is one bound resource: what it is, what has to reach it, and whether
// there is a connection for that. Its parts share one lock.
type Session struct {
	outgoing
	detached time.Time     // when the wire was lost
	live     bool          // messages are pushed as they come
	catching bool          // somebody reads what waits for it
	lost     chan struct{} // closed when the present wire is gone; made on demand
}

// resource is who a session is, what its client has announced and what the two
// have agreed on.
type resource struct {
	jid   jid.JID
	bound time.Time

	mu       sync.Mutex // of the whole session
	lang     string     // of the client's stream; empty if it named none
	device   string     // see Device
	presence Presence
	flags    Flags
	directed map[jid.JID]struct{} // got directed presence (RFC 6121 §4.6)
	sm       SM
	inSeen   uint32 // stanzas from the client that were handled (XEP-0198 §4: h)
}

// outgoing is what has to reach the client.
type outgoing struct {
	resource
	limits Limits
	ledger Ledger // nil where nothing is parked
	record Record // nil: no frame is given back

	wire   Wire          // nil while detached
	ended  bool          // no more frames are taken in
	full   bool          // a frame found no room: none is taken in, so that there is no gap
	failed bool          // what was given back could not be read the last time
	line   line          // not confirmed, oldest first
	bytes  int           // of all there is
	crowd  crowd         // of line and held
	held   []*Frame      // held back while inactive
	behind []*Frame      // came while somebody reads what waits
	read   Pos           // the newest that was read before it went live
	space  chan struct{} // signalled when the line got shorter; made on demand
}

// SM is the stream management state of a session.
type SM struct {
	On     bool
	Resume bool   // the client asked for resumption
	ID     string // XEP-0198 §3: the id to resume with
	Acked  uint32 // the last h the client sent
	// Window is how long the session may wait for its client; 0: as long as any may.
	Window time.Duration
}

// New makes a session that writes to w.
func New(full jid.JID, lim Limits, led Ledger, w Wire, now time.Time) *Session {
	return &Session{outgoing: outgoing{resource: resource{jid: full, bound: now}, limits: lim, ledger: led, wire: w}}
}

// Refer lets the session give messages back to the archive, from now on.
func (s *outgoing) Refer(r Record) {
	s.mu.Lock()
	s.record = r
	s.mu.Unlock()
}

// JID is the full JID the session is bound to.
func (s *resource) JID() jid.JID { return s.jid }

// Bound is when the resource was bound.
func (s *resource) Bound() time.Time { return s.bound }

// Language is what the client's present stream says its stanzas are in
// (RFC 6120 §4.7.4); empty if it said nothing.
func (s *resource) Language() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lang
}

// SetLanguage is called by the edge for each stream the session has, before its
// first stanza: another stream may speak another language.
func (s *resource) SetLanguage(lang string) {
	s.mu.Lock()
	s.lang = lang
	s.mu.Unlock()
}

// LimitWindow makes a session that can be resumed wait for its client no longer
// than that (XEP-0198 §3: the client's and the server's "max"). It is called after EnableSM.
func (s *resource) LimitWindow(d time.Duration) {
	s.mu.Lock()
	s.sm.Window = d
	s.mu.Unlock()
}

// Presence returns what the session last announced.
func (s *resource) Presence() Presence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presence
}

// SetPresence replaces it and returns what it was.
func (s *resource) SetPresence(p Presence) Presence {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.presence
	s.presence = p
	return old
}

// Flags returns what the client has switched on.
func (s *resource) Flags() Flags {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flags
}

// Switch changes the flags under the session's lock.
func (s *Session) Switch(change func(*Flags)) {
	s.mu.Lock()
	was := s.flags.Inactive
	change(&s.flags)
	var w Wire
	if was && !s.flags.Inactive {
		w = s.releaseHeld()
	}
	s.mu.Unlock()
	if w != nil {
		w.Wake()
	}
}

// AddDirected notes that presence went to j directly; RemoveDirected forgets
// it and says whether it was there (RFC 6121 §4.6.3).
func (s *resource) AddDirected(j jid.JID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.directed == nil {
		s.directed = make(map[jid.JID]struct{})
	}
	s.directed[j] = struct{}{}
}

// RemoveDirected forgets a directed-presence target.
func (s *resource) RemoveDirected(j jid.JID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.directed[j]
	delete(s.directed, j)
	return ok
}

// Directed returns the targets of directed presence; clear forgets them.
func (s *resource) Directed(clear bool) []jid.JID {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]jid.JID, 0, len(s.directed))
	for j := range s.directed {
		out = append(out, j)
	}
	if clear {
		s.directed = nil
	}
	return out
}

// Standing is what decides whether a message goes to a session.
type Standing struct {
	Available, Live, Carbons bool
	Catching                 bool // reads what waits for it; not live yet
	Priority                 int8
}

// Standing returns it in one step.
func (s *Session) Standing() Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Standing{s.presence.Available, s.live, s.flags.Carbons, s.catching, s.presence.Priority}
}

// BeginCatchUp says whether somebody has to read what waits for the session
// before it can be live; only one caller at a time is told so. From then on
// Behind keeps new messages back.
func (s *Session) BeginCatchUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live || s.catching || s.ended {
		return false
	}
	s.catching = true
	return true
}

// AbortCatchUp ends a catch-up whose session does not want messages after all,
// and says so. It goes on if the session has come to want them again.
func (s *Session) AbortCatchUp() bool {
	s.mu.Lock()
	if s.wants() {
		s.mu.Unlock()
		return false
	}
	w := s.abort()
	s.mu.Unlock()
	if w != nil {
		w.Wake()
	}
	return true
}

// wants says that messages to the bare address are for this session too.
func (s *Session) wants() bool {
	return !s.ended && !s.full && s.presence.Available && s.presence.Priority >= 0
}

// abort gives up what was kept back and is kept elsewhere: the ledger finds it.
// The rest follows.
func (s *Session) abort() Wire {
	s.releaseHeld()
	for _, f := range s.behind {
		if f.Offline {
			s.discard(f)
		} else {
			s.follow(f)
		}
	}
	s.live, s.catching, s.behind = false, false, nil
	return s.wire
}

// discard undoes admit.
func (s *outgoing) discard(f *Frame) {
	s.bytes -= len(f.Bytes)
	if f.Offline && s.wire != nil {
		f.holders.Add(-1)
	}
}

// Rest makes a session that does not want messages any more stop being live.
func (s *Session) Rest() {
	s.mu.Lock()
	s.live = false
	s.mu.Unlock()
}

// GoLive ends a catch-up: what was kept back follows, and from now on the
// session takes messages as they come. last is the newest that was read; the one
// message that was being handed out when the catch-up began may come once more
// (here, or to Push afterwards) and is left out then. A session that has stopped
// wanting messages meanwhile does not go live.
func (s *Session) GoLive(last Pos) {
	s.mu.Lock()
	w := s.goLive(last)
	s.mu.Unlock()
	if w != nil {
		w.Wake()
	}
}

func (s *Session) goLive(last Pos) Wire {
	if !s.wants() {
		return s.abort()
	}
	s.releaseHeld() // order is kept: what was held goes first
	for _, f := range s.behind {
		if f.Offline && f.Pos == last {
			s.discard(f)
			continue
		}
		s.follow(f)
	}
	s.live, s.catching, s.behind, s.read = true, false, nil, last
	if s.wire == nil {
		s.giveBack()
	}
	return s.wire
}

// Kick ends the session's connection; nil closes it politely.
func (s *Session) Kick(reason *stream.Error) {
	s.mu.Lock()
	w := s.wire
	s.mu.Unlock()
	if w != nil {
		w.Kick(reason)
	}
}
