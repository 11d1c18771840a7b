package meter

import (
	"time"

	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Verb is one of the six that every stanza goes through (docs/ARCHITECTURE.md).
type Verb uint8

// The verbs, in order.
const (
	Accept Verb = iota
	Judge
	Plan
	Commit
	Fanout
	Write
	Verbs // how many there are
)

func (v Verb) String() string {
	return [Verbs]string{"accept", "judge", "plan", "commit", "fanout", "write"}[v]
}

// Kinds are the stanza kinds counted.
func Kinds() []stanza.Kind { return []stanza.Kind{stanza.Message, stanza.Presence, stanza.IQ} }

// row is one verb's counters. It fills a cache line: the verbs are counted by
// different goroutines.
type row struct {
	kinds [stanza.IQ + 1]Counter
	_     [32]byte
}

// Meter is everything that is counted in one process. The zero value is ready.
type Meter struct {
	passed [Verbs]row

	// Refused counts what went no further, by verb and condition; what nobody is
	// told of is "dropped".
	Refused Tally

	// Group is messages kept per commit, Keep how long a commit takes, Wait how long
	// a sender's messages wait for theirs to begin.
	Group Sizes
	Keep  Times
	Wait  Times
	// Deliver is from the end of plan to when the message stood in its recipients'
	// queues and could be acknowledged.
	Deliver Times
	// Unkept counts messages whose commit failed.
	Unkept Counter

	Handed   Counter // frames that went to a session's queue
	Overflow Counter // sessions ended because their queue was full
	Logins   Tally   // by mechanism and result

	Batch   Sizes // writes that went together in a transaction of the store
	Transac Times // how long it took
	Flush   Times // how long of that the flush took
}

// Passed counts n stanzas of a kind that went through a verb.
func (m *Meter) Passed(v Verb, k stanza.Kind, n int) { m.passed[v].kinds[k].Add(n) }

// Count is how many of a kind have gone through a verb.
func (m *Meter) Count(v Verb, k stanza.Kind) uint64 { return m.passed[v].kinds[k].Count() }

// Refuse counts a stanza that its sender is told of in an error.
func (m *Meter) Refuse(v Verb, e *stanza.Error) { m.Refused.Add(v.String(), e.Condition) }

// Drop counts a stanza that ended here and nobody is told.
func (m *Meter) Drop(v Verb) { m.Refused.Add(v.String(), "dropped") }

// Committed counts one commit of n messages that began at a time, and how it ended.
func (m *Meter) Committed(n int, began time.Time, err error) {
	if err != nil {
		m.Unkept.Add(n)
		return
	}
	m.Group.Observe(n)
	m.Keep.Observe(time.Since(began), 1)
	m.Passed(Commit, stanza.Message, n)
}

// Stored counts one transaction of the store.
func (m *Meter) Stored(writes int, took, flush time.Duration) {
	m.Batch.Observe(writes)
	m.Transac.Observe(took, 1)
	m.Flush.Observe(flush, 1)
}

// Traffic is the bytes that went through a listener's connections, TLS included.
type Traffic struct{ In, Out Counter }
