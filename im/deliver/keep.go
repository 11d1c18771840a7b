package deliver

import (
	"context"
	"time"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Keep takes a message that no session sent through judge, plan and commit,
// with a time of its own: for an import or a sample history. It reaches nobody's
// sessions by itself and does not wait for them.
func (p *Path) Keep(ctx context.Context, st *stanza.Stanza, at time.Time) error {
	j, refusal := p.judge(ctx, st)
	if refusal != nil {
		return refusal
	}
	if j == nil {
		return nil
	}
	exists, err := p.exists(ctx, j.st)
	if err != nil {
		return err
	}
	f := p.snapshot(j.st, exists)
	f.Live = true // it does not wait
	pl, refusal := plan(j, nil, f)
	if refusal != nil {
		return refusal
	}
	if pl == nil || pl.entry == nil {
		return nil
	}
	pl.entry.Stanza = j.st.AppendTo(nil)
	pl.entry.At = at
	pl.mute = true
	for i := range pl.entry.Views {
		pl.entry.Views[i].Flags &= archive.Shown
	}
	return p.commit([]*planned{pl}, make(chan error, 1))
}
