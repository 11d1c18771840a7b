package deliver

import (
	"errors"
	"time"

	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// countAccept counts a stanza that accept has refused.
func (p *Path) countAccept(err error) {
	if se, ok := errors.AsType[*stanza.Error](err); ok {
		p.meter.Refuse(meter.Accept, se)
	}
}

// countJudge counts what came past accept and how the judge decided.
func (p *Path) countJudge(k stanza.Kind, j *judged, refusal *stanza.Error) {
	p.meter.Passed(meter.Accept, k, 1)
	p.count(meter.Judge, k, j != nil, refusal)
}

// countPlan counts a message's plan.
func (p *Path) countPlan(pl *planned, refusal *stanza.Error) {
	p.count(meter.Plan, stanza.Message, pl != nil, refusal)
}

func (p *Path) count(v meter.Verb, k stanza.Kind, passed bool, refusal *stanza.Error) {
	switch {
	case passed:
		p.meter.Passed(v, k, 1)
	case refusal != nil:
		p.meter.Refuse(v, refusal)
	default:
		p.meter.Drop(v)
	}
}

// countWait notes how long each sender of a group has waited for the commit
// that begins now, and gives the time.
func (p *Path) countWait(group []*submission) time.Time {
	now := time.Now()
	for _, sub := range group {
		p.meter.Wait.Observe(now.Sub(sub.began), 1)
	}
	return now
}

// countFanout counts messages that stand in their recipients' queues.
func (p *Path) countFanout(sub *submission) {
	p.meter.Passed(meter.Fanout, stanza.Message, len(sub.msgs))
	p.meter.Deliver.Observe(time.Since(sub.began), len(sub.msgs))
}
