package pep

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/route"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// proof is a capabilities hash and its function (XEP-0115 §4). The node is left
// out: it proves nothing.
type proof struct{ hash, ver string }

// claim is what a client's presence says of its capabilities.
type claim struct {
	proof
	node string
}

// want is what one session wants to hear of.
type want struct {
	claim claim
	nodes []string // sorted; nil while not known
}

// question is a request on its way to a client, and the other sessions that made
// the same claim meanwhile.
type question struct {
	s       *session.Session
	claim   claim
	at      time.Time
	waiting []*session.Session
}

const (
	maxKnown  = 10_000 // hashes kept
	maxNodes  = 256    // nodes one client can want to hear of
	patience  = 10 * time.Second
	notifySfx = "+notify"
)

// readClaim finds the capabilities in a presence; ok is false if there are none
// that can be asked for.
func readClaim(st *stanza.Stanza) (c claim, ok bool) {
	k, ok := st.Child(disco.CapsSpace, "c")
	if !ok {
		return c, false
	}
	c.node, _ = st.Attr(k, "node")
	c.ver, _ = st.Attr(k, "ver")
	c.hash, _ = st.Attr(k, "hash")
	return c, c.node != "" && c.ver != ""
}

// capabilities is what all sessions want to hear of.
type capabilities struct {
	routes Routes
	now    func() time.Time

	mu    sync.Mutex
	wants map[*session.Session]*want // owner: mu
	known map[proof][]string         // owner: mu; proven hashes and the nodes they ask to hear of
	asked map[string]*question       // owner: mu; by the id of the request
}

// present takes what a session's presence says. fresh are the nodes it has come to
// want to hear of by that; first says that the session was not available before.
func (s *capabilities) present(of *session.Session, st *stanza.Stanza, first bool) (fresh []string) {
	c, ok := readClaim(st)
	s.mu.Lock()
	if !ok {
		delete(s.wants, of)
		s.mu.Unlock()
		return nil
	}
	w := s.wants[of]
	if w != nil && w.claim == c {
		nodes := w.nodes
		s.mu.Unlock()
		if first {
			return nodes
		}
		return nil
	}
	var had []string
	if w != nil && !first {
		had = w.nodes
	}
	w = &want{claim: c, nodes: had}
	s.wants[of] = w
	if nodes, known := s.known[c.proof]; known {
		w.nodes = nodes
		s.mu.Unlock()
		return without(nodes, had)
	}
	next := append(s.unask(of), s.ask(of, c)) // one question at a time
	s.mu.Unlock()
	for _, q := range next {
		s.send(q)
	}
	return nil
}

// without are the sorted names that are not among others.
func without(names, others []string) (out []string) {
	for _, n := range names {
		if _, found := slices.BinarySearch(others, n); !found {
			out = append(out, n)
		}
	}
	return out
}

// ask notes a question and returns the request to send, nil if another session
// that made the same claim is being asked. Called with s.mu held.
func (s *capabilities) ask(of *session.Session, c claim) *question {
	for _, q := range s.asked {
		if q.claim == c && c.hash != "" && s.now().Sub(q.at) < patience {
			q.waiting = append(q.waiting, of)
			return nil
		}
	}
	q := &question{s: of, claim: c, at: s.now()}
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	s.asked[hex.EncodeToString(b[:])] = q
	return q
}

// send asks a client for its capabilities (XEP-0115 §6.2).
func (s *capabilities) send(q *question) {
	if q == nil {
		return
	}
	s.mu.Lock()
	id := ""
	for k, v := range s.asked {
		if v == q {
			id = k
		}
	}
	s.mu.Unlock()
	if id == "" {
		return // the session has gone
	}
	iq := elem.New(stanza.Space, "iq", "from", q.s.JID().Bare().String(), "to", q.s.JID().String(), "id", id, "type", "get")
	iq.Add(elem.New(disco.InfoSpace, "query", "node", q.claim.node+"#"+q.claim.ver))
	s.routes.Push(q.s, route.EncodeElement(stanza.IQ, iq))
}

// answered takes a result or an error a session sent to its own account, and
// returns the nodes sessions have come to want to hear of by it.
func (s *capabilities) answered(from *session.Session, st *stanza.Stanza) map[*session.Session][]string {
	s.mu.Lock()
	q := s.asked[st.ID]
	if q == nil || q.s != from { // HARDENING I5: only from whom it was asked
		s.mu.Unlock()
		return nil
	}
	delete(s.asked, st.ID)
	s.mu.Unlock()
	nodes, proven := read(st, q.claim)
	s.mu.Lock()
	fresh := map[*session.Session][]string{from: s.learn(from, q.claim, nodes)}
	var next *question
	if proven {
		s.believe(q.claim.proof, nodes)
		for _, other := range q.waiting {
			fresh[other] = s.learn(other, q.claim, nodes)
		}
	} else {
		next = s.askNext(q)
	}
	s.mu.Unlock()
	s.send(next)
	return fresh
}

// believe keeps what a hash has been proven to stand for. Called with s.mu held.
func (s *capabilities) believe(p proof, nodes []string) {
	if len(s.known) >= maxKnown {
		for k := range s.known { // any: whoever still needs it is asked again
			delete(s.known, k)
			break
		}
	}
	s.known[p] = nodes
}

// askNext is XEP-0115 §5.4: after an answer that proved nothing the next that says
// the same is asked. Called with s.mu held.
func (s *capabilities) askNext(q *question) *question {
	for i, other := range q.waiting {
		if w := s.wants[other]; w == nil || w.claim != q.claim {
			continue
		}
		next := s.ask(other, q.claim)
		if next != nil {
			next.waiting = append(next.waiting, q.waiting[i+1:]...)
		}
		return next
	}
	return nil
}

// learn notes what a session wants to hear of, and returns what of it is new.
// Called with s.mu held.
func (s *capabilities) learn(of *session.Session, c claim, nodes []string) []string {
	w := s.wants[of]
	if w == nil || w.claim != c {
		return nil // it has said something else since
	}
	fresh := without(nodes, w.nodes)
	w.nodes = nodes
	return fresh
}

// read makes the sorted nodes of an answer, and says whether it proves the claim's
// hash. One that does not counts for that client alone (XEP-0115 §5.4).
func read(st *stanza.Stanza, c claim) (nodes []string, proven bool) {
	if st.Type != stanza.Result {
		return nil, false
	}
	k, ok := st.Child(disco.InfoSpace, "query")
	if !ok {
		return nil, false
	}
	e, err := st.Element(k)
	if err != nil {
		return nil, false
	}
	info := disco.Read(e)
	for _, f := range info.Features {
		if n, ok := strings.CutSuffix(f, notifySfx); ok && n != "" && len(nodes) < maxNodes {
			nodes = append(nodes, n)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes), info.Proves(c.hash, c.ver)
}

// wantsNode says whether a session wants to hear of a node.
func (s *capabilities) wantsNode(of *session.Session, node string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.wants[of]
	if w == nil {
		return false
	}
	_, found := slices.BinarySearch(w.nodes, node)
	return found
}

// gone forgets a session that ended.
func (s *capabilities) gone(of *session.Session) {
	s.mu.Lock()
	delete(s.wants, of)
	next := s.unask(of)
	s.mu.Unlock()
	for _, q := range next {
		s.send(q)
	}
}

// unask forgets what a session was asked; those who wait for its answer are asked
// themselves, by the questions returned. Called with s.mu held.
func (s *capabilities) unask(of *session.Session) (next []*question) {
	for id, q := range s.asked {
		q.waiting = slices.DeleteFunc(q.waiting, func(o *session.Session) bool { return o == of })
		if q.s != of {
			continue
		}
		delete(s.asked, id)
		for _, other := range q.waiting {
			if w := s.wants[other]; w != nil && w.claim == q.claim {
				next = append(next, s.ask(other, q.claim))
			}
		}
	}
	return next
}
