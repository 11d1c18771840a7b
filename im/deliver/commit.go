package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// submission is the consecutive messages one sender has in hand, on their way
// through commit and fanout together.
type submission struct {
	msgs  []*planned
	done  chan error // takes one value, never blocks
	began time.Time  // when it came to commit
}

// groupMax bounds how many messages one transaction takes.
const groupMax = 1024

// errStopped says that the server takes no more messages.
var errStopped = &stream.Error{Condition: "system-shutdown", Text: "the server is stopping; send again after reconnecting"}

// logWriter writes the log and hands out what is written.
type logWriter struct {
	*tally
	cfg     *Config
	fanout  func(*planned)
	log     chan *submission
	fan     chan []*submission
	stopped chan struct{} // closed when the log writer has ended
	told    time.Time     // when the log last heard of a failed commit; owner: runLog
	failed  int           // submissions that failed since; owner: runLog
}

func newLogWriter(cfg *Config, t *tally, fanout func(*planned)) *logWriter {
	return &logWriter{tally: t, cfg: cfg, fanout: fanout, log: make(chan *submission, 1024),
		fan: make(chan []*submission, 4), stopped: make(chan struct{})}
}

// commit hands messages to the log writer and returns when they are on disk
// and handed out, or kept from everybody. An error is a *stanza.Error for the
// sender, or a *stream.Error if nobody can tell whether they were kept.
func (w *logWriter) commit(msgs []*planned, done chan error) error {
	select {
	case w.log <- &submission{msgs, done, time.Now()}:
	case <-w.stopped:
		return errStopped
	}
	select {
	case err := <-done:
		return err
	case <-w.stopped:
		// The writer finished what it had taken; see whether this was among it.
		select {
		case err := <-done:
			return err
		default:
			return errStopped
		}
	}
}

// pace is the shortest time between two commits under load. A flush costs the
// same for one message and for a hundred, so what comes in meanwhile goes
// together; a message that comes in alone never waits.
const pace = 8 * time.Millisecond

// runLog is the one writer of the log: it takes what has come in from all
// senders since the last flush and keeps it in one transaction.
func (w *logWriter) runLog(ctx context.Context) {
	defer close(w.fan)
	wait := time.NewTimer(pace)
	defer wait.Stop()
	var last time.Time
	for {
		select {
		case sub := <-w.log:
			if rest := pace - time.Since(last); rest > 0 {
				wait.Reset(rest)
				select {
				case <-wait.C:
				case <-ctx.Done():
				}
			}
			last = time.Now()
			w.keep(w.gather(sub))
		case <-ctx.Done():
			for {
				select {
				case sub := <-w.log:
					w.keep(w.gather(sub))
				default:
					return
				}
			}
		}
	}
}

// gather adds to a submission whatever else is waiting.
func (w *logWriter) gather(first *submission) []*submission {
	group := append(make([]*submission, 0, 16), first)
	for n := len(first.msgs); n < groupMax; {
		select {
		case sub := <-w.log:
			group = append(group, sub)
			n += len(sub.msgs)
		default:
			return group
		}
	}
	return group
}

// keep commits a group and passes it on to fanout.
func (w *logWriter) keep(group []*submission) {
	var entries []*archive.Entry
	for _, sub := range group {
		for _, m := range sub.msgs {
			if m.entry != nil {
				entries = append(entries, m.entry)
			}
		}
	}
	if len(entries) > 0 {
		// The transaction is awaited even when the server stops.
		began := w.countWait(group)
		err := w.cfg.Archive.Append(context.Background(), entries)
		w.countCommit(group, len(entries), began, err)
		if err != nil {
			w.refuse(group, err)
			return
		}
	}
	w.fan <- group
}

// refuse tells the senders of a group that nothing was kept. A group of several is tried one by one first: what one sender
// wrote does not fail another. Not if the store itself is down: then each would wait as long as all have (HARDENING F6).
func (w *logWriter) refuse(group []*submission, err error) {
	unknown := errors.Is(err, archive.ErrUnknown)
	if len(group) > 1 && !unknown && !store.IsDown(err) {
		for i := range group {
			w.keep(group[i : i+1])
		}
		return
	}
	w.failed += len(group)
	if now := time.Now(); now.Sub(w.told) >= time.Second { // a hundred groups a second fail while the database is away
		w.cfg.Log.Error("deliver: commit: nothing was kept or delivered", "submissions", w.failed, "err", err)
		w.told, w.failed = now, 0
	}
	for _, sub := range group {
		sub.done <- commitError(err, unknown || w.mayHave(sub))
	}
}

// mayHave says whether a message of a submission may have been kept when it was sent before.
func (w *logWriter) mayHave(sub *submission) bool {
	for _, m := range sub.msgs {
		if m.entry != nil && w.cfg.Archive.MayHave(m.entry.Dedup) {
			return true
		}
	}
	return false
}

func errUnsure() error {
	return &stream.Error{Condition: "internal-server-error",
		Text: "the archive stopped in the middle; reconnect and send again, nothing is stored twice"}
}

// commitError is what a sender hears when the archive can't be written; unsure says that the messages may be in it.
func commitError(err error, unsure bool) error {
	switch {
	case unsure:
		return errUnsure()
	case store.IsFull(err):
		return stanza.Fail("resource-constraint", "the archive is full, so the message was not sent; try again later").WithType("wait")
	}
	return stanza.Fail("internal-server-error", "the message could not be archived, so it was not sent; try again").WithType("wait")
}

// runFan hands committed messages to sessions, in the order of the log, while
// the next group is being flushed.
func (w *logWriter) runFan() {
	defer close(w.stopped)
	for group := range w.fan {
		for _, sub := range group {
			w.tellFanout(sub)
			for _, m := range sub.msgs {
				w.fanout(m)
			}
			w.countFanout(sub)
			sub.done <- nil
		}
	}
}

// fanout gives one committed message to whoever is there now.
func (p *Path) fanout(m *planned) {
	if m.room != nil {
		p.fanRoom(m)
		return
	}
	if e := m.entry; e != nil {
		if e.Again {
			return // sent before, handed out then
		}
		m.out.Pos = e.Pos
	}
	if m.mute {
		p.cfg.Routes.Skip(m.out.Pos)
		return
	}
	p.cfg.Routes.Message(&m.out)
}
