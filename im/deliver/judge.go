package deliver

import (
	"context"

	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Action is what a judge decides about a stanza.
type Action uint8

const (
	Allow  Action = iota
	Alter         // goes on as Verdict.Altered
	Hold          // kept and acknowledged, delivered to nobody until released
	Refuse        // the sender gets Verdict.Error
	Drop          // nobody hears of it (a blocked contact's presence, XEP-0191 §3.4)
)

// Verdict is a judge's answer, with the stage that gave it and why.
type Verdict struct {
	Action  Action
	Stage   string
	Reason  string
	Error   *stanza.Error
	Altered *stanza.Stanza
}

// Judge is asked about every stanza, of every kind and from every edge.
type Judge interface {
	Judge(ctx context.Context, st *stanza.Stanza) Verdict
}

// Stages asks judges in order; the first that does not allow decides, and what
// one altered is shown to the next.
type Stages []Judge

// Judge implements Judge.
func (s Stages) Judge(ctx context.Context, st *stanza.Stanza) Verdict {
	out := Verdict{Action: Allow}
	for _, j := range s {
		switch v := j.Judge(ctx, st); v.Action {
		case Allow:
		case Alter:
			out, st = v, v.Altered
		default:
			return v
		}
	}
	return out
}

// judged is a stanza that passed accept and judge. Only Path.judge makes one.
type judged struct {
	st      *stanza.Stanza
	held    bool
	private bool // its sender wants no carbons (XEP-0280 §9)
}

// judge asks the judge. It returns nil for a stanza that goes no further, and
// the error its sender gets, if any.
func (p *Path) judge(ctx context.Context, st *stanza.Stanza) (*judged, *stanza.Error) {
	j, refusal := p.ask(ctx, st)
	p.countJudge(st, j, refusal)
	return j, refusal
}

func (p *Path) ask(ctx context.Context, st *stanza.Stanza) (*judged, *stanza.Error) {
	switch v := p.cfg.Judge.Judge(ctx, st); v.Action {
	case Allow:
		return &judged{st: st}, nil
	case Alter:
		return &judged{st: v.Altered}, nil
	case Hold:
		if st.Kind == stanza.Message {
			return &judged{st: st, held: true}, nil
		}
		return nil, stanza.Fail("policy-violation", v.Reason)
	case Refuse:
		if v.Error != nil {
			return nil, v.Error
		}
		return nil, stanza.Fail("policy-violation", v.Reason)
	}
	return nil, nil
}
