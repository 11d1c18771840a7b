package check

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Kind names a class of violation.
type Kind string

const (
	Phantom       Kind = "phantom"                 // archived, but nobody sent it, or not like that
	ArchivedTwice Kind = "archived twice"          // one send, two records
	RefusedKept   Kind = "refused yet kept"        // the sender got an error, the archive the message
	Lost          Kind = "LOST"                    // acknowledged and not archived
	Unarchived    Kind = "delivered, not archived" // somebody got it, the archive did not
	Twice         Kind = "delivered twice"         // to one session
	Altered       Kind = "delivered altered"       // other content than was sent
	Gap           Kind = "gap"                     // a later one of the conversation came, this did not
	Reorder       Kind = "reorder"                 // against the archive's order
	Undelivered   Kind = "never delivered"         // to a session that was there
	Hole          Kind = "hole in a person's archive"
	Extra         Kind = "extra in a person's archive"
	Sequence      Kind = "hole in a conversation's numbers"
)

// Violation is one finding.
type Violation struct {
	Kind    Kind
	ID      string // of the message
	Session string // or owner
	Detail  string
}

func (v Violation) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s: message %s, %s %s", v.Kind, v.ID, v.Session, v.Detail))
}

// Hash is how bodies are compared.
func Hash(body string) [32]byte { return sha256.Sum256([]byte(body)) }

// ID names a message that its sender gave no id, so that it can be followed too.
func ID(given, body string) string {
	if given != "" {
		return given
	}
	return fmt.Sprintf("unnamed-%.6x", Hash(body))
}

// Send is a message somebody tried to send, once or several times with one id.
type Send struct {
	ID, From, To string   // From and To are bare addresses
	Sessions     []string // that sent it: a retry may come from a new one
	Body         [32]byte
	Acked        bool // XEP-0198 covered it
	Refused      bool // an error came back
}

// Session is one logical session.
type Session struct {
	Name, Owner string
	Carbons     bool   // gets copies of what the owner's other sessions send (XEP-0280)
	Joined      bool   // must get what comes after After; else it only may
	After       string // id of the last message before joining; "" = from the start
	Left        bool   // answerable up to the last message it got, not to the end
	Got         []Receipt
}

// Receipt is one delivery.
type Receipt struct {
	ID   string
	Body [32]byte
}

// Record is one row of the archive.
type Record struct {
	Pos, ConvSeq int64
	Conv, ID     string
	From, To     string // bare
	Body         [32]byte
}

// View is one entry of a person's archive.
type View struct {
	ID   string
	Body [32]byte
}

// History is everything known about a run.
type History struct {
	Sends    []Send
	Sessions []Session
	Archive  []Record
	Views    map[string][]View // by owner, oldest first
}

// Check returns every violation, in a stable order.
func (h *History) Check() []Violation {
	c := &checker{h: h, sends: make(map[string]*Send, len(h.Sends)), at: make(map[string]int, len(h.Archive))}
	for i := range h.Sends {
		c.sends[h.Sends[i].ID] = &h.Sends[i]
	}
	c.archive()
	c.sent()
	for i := range h.Sessions {
		c.session(&h.Sessions[i])
	}
	c.views()
	return c.found
}

type checker struct {
	h     *History
	sends map[string]*Send
	at    map[string]int // id → index into order
	order []*Record      // the archive by position
	of    map[string][]int
	found []Violation
}

func (c *checker) add(k Kind, id, session, format string, args ...any) {
	c.found = append(c.found, Violation{k, id, session, fmt.Sprintf(format, args...)})
}

// archive indexes the records and finds phantoms, doubles and missing numbers.
func (c *checker) archive() {
	for i := range c.h.Archive {
		c.order = append(c.order, &c.h.Archive[i])
	}
	slices.SortStableFunc(c.order, func(a, b *Record) int { return int(a.Pos - b.Pos) })
	c.of = map[string][]int{}
	last := map[string]int64{}
	for i, r := range c.order {
		if r.ConvSeq != last[r.Conv]+1 {
			c.add(Sequence, r.ID, "", "conversation %s: %d follows %d", r.Conv, r.ConvSeq, last[r.Conv])
		}
		last[r.Conv] = r.ConvSeq
		s := c.sends[r.ID]
		switch {
		case s == nil:
			c.add(Phantom, r.ID, "", "position %d: nobody sent it", r.Pos)
		case s.Body != r.Body || s.From != r.From || s.To != r.To:
			c.add(Phantom, r.ID, "", "position %d: other than sent", r.Pos)
		}
		if first, dup := c.at[r.ID]; dup {
			c.add(ArchivedTwice, r.ID, "", "positions %d and %d", c.order[first].Pos, r.Pos)
			continue
		}
		c.at[r.ID] = i
		c.of[r.From] = append(c.of[r.From], i)
		if r.To != r.From {
			c.of[r.To] = append(c.of[r.To], i)
		}
	}
}

func (c *checker) sent() {
	for i := range c.h.Sends {
		s := &c.h.Sends[i]
		_, kept := c.at[s.ID]
		switch {
		case s.Acked && !s.Refused && !kept:
			c.add(Lost, s.ID, strings.Join(s.Sessions, " "), "acknowledged, in no archive")
		case s.Refused && kept:
			c.add(RefusedKept, s.ID, strings.Join(s.Sessions, " "), "")
		}
	}
}

// session checks what one logical session got against the archive's order.
func (c *checker) session(s *Session) {
	got := make(map[string]bool, len(s.Got))
	high := map[string]int{} // conversation → highest index got so far
	last := -1               // highest index got at all
	for _, g := range s.Got {
		i, kept := c.at[g.ID]
		if !kept {
			c.add(Unarchived, g.ID, s.Name, "")
			continue
		}
		r := c.order[i]
		if r.Body != g.Body {
			c.add(Altered, g.ID, s.Name, "")
		}
		if got[g.ID] {
			c.add(Twice, g.ID, s.Name, "")
			continue
		}
		got[g.ID] = true
		if h, any := high[r.Conv]; any && i < h {
			c.add(Reorder, g.ID, s.Name, "position %d after %d", r.Pos, c.order[h].Pos)
		} else {
			high[r.Conv] = i
		}
		last = max(last, i)
	}
	if s.Joined {
		c.missing(s, got, high, last)
	}
}

func (c *checker) missing(s *Session, got map[string]bool, high map[string]int, last int) {
	from := -1
	if s.After != "" {
		i, ok := c.at[s.After]
		if !ok {
			c.add(Hole, s.After, s.Name, "joined after a message no archive has")
			return
		}
		from = i
	}
	for _, i := range c.of[s.Owner] {
		r := c.order[i]
		if i <= from || got[r.ID] || s.Left && i > last || !c.due(s, r) {
			continue
		}
		if h, any := high[r.Conv]; any && h > i {
			c.add(Gap, r.ID, s.Name, "position %d", r.Pos)
		} else {
			c.add(Undelivered, r.ID, s.Name, "position %d", r.Pos)
		}
	}
}

// due says whether a record is for this session: its owner's messages, and by
// carbons those its owner sends from elsewhere.
func (c *checker) due(s *Session, r *Record) bool {
	if r.To == s.Owner {
		return true
	}
	snd := c.sends[r.ID]
	return s.Carbons && snd != nil && !slices.Contains(snd.Sessions, s.Name)
}

// views compares each person's archive with the records he is part of.
func (c *checker) views() {
	owners := make([]string, 0, len(c.h.Views))
	for o := range c.h.Views {
		owners = append(owners, o)
	}
	slices.Sort(owners)
	for _, o := range owners {
		have := map[string]bool{}
		last := -1
		for _, v := range c.h.Views[o] {
			i, kept := c.at[v.ID]
			switch {
			case !kept || c.order[i].From != o && c.order[i].To != o:
				c.add(Extra, v.ID, o, "not his")
			case have[v.ID]:
				c.add(Extra, v.ID, o, "shown twice")
			case c.order[i].Body != v.Body:
				c.add(Altered, v.ID, o, "in his archive")
			case i < last:
				c.add(Reorder, v.ID, o, "in his archive")
			}
			have[v.ID] = true
			if kept {
				last = max(last, i)
			}
		}
		for _, i := range c.of[o] {
			if r := c.order[i]; !have[r.ID] {
				c.add(Hole, r.ID, o, "position %d", r.Pos)
			}
		}
	}
}
