package deliver

import (
	"errors"
	"fmt"
	"time"

	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/im/trace"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// tally counts what the verbs do, and tells who watches.
type tally struct {
	cfg   *Config
	meter *meter.Meter
}

// countAccept counts a stanza that accept has refused.
func (t *tally) countAccept(st *stanza.Stanza, err error) {
	if se, ok := errors.AsType[*stanza.Error](err); ok {
		t.meter.Refuse(meter.Accept, se)
		t.tell(meter.Accept, st, func() string { return "refused: " + se.Condition })
	}
}

// countJudge counts what came past accept and how the judge decided.
func (t *tally) countJudge(st *stanza.Stanza, j *judged, refusal *stanza.Error) {
	t.meter.Passed(meter.Accept, st.Kind, 1)
	t.tell(meter.Accept, st, func() string { return fmt.Sprintf("%d bytes", st.Size()) })
	t.count(meter.Judge, st, j != nil, refusal)
}

// countPlan counts a message's plan.
func (t *tally) countPlan(st *stanza.Stanza, pl *planned, refusal *stanza.Error) {
	t.count(meter.Plan, st, pl != nil, refusal)
}

func (t *tally) count(v meter.Verb, st *stanza.Stanza, passed bool, refusal *stanza.Error) {
	what := "passed"
	switch {
	case passed:
		t.meter.Passed(v, st.Kind, 1)
	case refusal != nil:
		t.meter.Refuse(v, refusal)
		what = "refused: " + refusal.Condition
	default:
		t.meter.Drop(v)
		what = "dropped"
	}
	t.tell(v, st, func() string { return what })
}

// countWait notes how long each sender of a group has waited for the commit
// that begins now, and gives the time.
func (t *tally) countWait(group []*submission) time.Time {
	now := time.Now()
	for _, sub := range group {
		t.meter.Wait.Observe(now.Sub(sub.began), 1)
	}
	return now
}

// countCommit counts a commit of n messages that began at a time.
func (t *tally) countCommit(group []*submission, n int, began time.Time, err error) {
	t.meter.Committed(n, began, err)
	if !t.cfg.Trace.On() {
		return
	}
	took := time.Since(began)
	for _, sub := range group {
		for _, m := range sub.msgs {
			if m.entry == nil {
				continue
			}
			t.tell(meter.Commit, m.out.Stanza, func() string {
				if err != nil {
					return "failed: " + err.Error()
				}
				return fmt.Sprintf("at position %s, one of %d in %s", m.entry.Pos, n, took.Round(10*time.Microsecond))
			})
		}
	}
}

// countFanout counts messages that stand in their recipients' queues.
func (t *tally) countFanout(sub *submission) {
	t.meter.Passed(meter.Fanout, stanza.Message, len(sub.msgs))
	t.meter.Deliver.Observe(time.Since(sub.began), len(sub.msgs))
}

// tellFanout says whom a submission's messages are about to be handed to: before it is
// done, for the connections write, and tell that, at once.
func (t *tally) tellFanout(sub *submission) {
	if !t.cfg.Trace.On() {
		return
	}
	for _, m := range sub.msgs {
		t.tell(meter.Fanout, m.out.Stanza, func() string {
			switch n := len(t.cfg.Routes.Sessions(m.out.Stanza.To.Bare())); {
			case m.mute:
				return "to nobody: held, or kept only"
			case m.entry != nil && m.entry.Again:
				return "to nobody: sent before"
			default:
				return fmt.Sprintf("the recipient has %d sessions", n)
			}
		})
	}
}

// tell says what a verb did with a stanza to who watches one of its two sides.
func (t *tally) tell(v meter.Verb, st *stanza.Stanza, what func() string) {
	if !t.cfg.Trace.On() {
		return
	}
	t.cfg.Trace.Tell(trace.Event{At: time.Now(), Verb: v.String(), Kind: st.Kind.String(), ID: st.ID,
		From: st.From.String(), To: st.To.String(), What: what()}, st.From, st.To)
}
