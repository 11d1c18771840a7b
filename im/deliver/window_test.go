package deliver

import (
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// XEP-0198 §3: a session hibernates for as long as was announced to its client,
// never longer than the server allows.
func TestPath_sessionHibernatesAsLongAsAnnounced(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), session.DefaultLimits)
	w.stop() // no clock but this one
	now := time.Now()
	cfg := w.path.cfg
	cfg.Now, cfg.Window = func() time.Time { return now }, 10*time.Minute
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		wish, window time.Duration
	}{
		{"minute", time.Minute, time.Minute},
		{"second", time.Second, time.Second},
		{"none", 0, 10 * time.Minute},
		{"hour", time.Hour, 10 * time.Minute},
	} {
		gone := &device{w: w}
		s, err := p.Bind(t.Context(), jid.MustParse("a@x.test"), c.name, gone)
		if err != nil {
			t.Fatal(err)
		}
		s.EnableSM(c.name, true)
		s.LimitWindow(c.wish)
		p.Detach(s, gone)
		start := now
		now = start.Add(c.window)
		if got := p.expired(); len(got) != 0 {
			t.Errorf("%s: ended after %v", c.name, c.window)
		}
		now = start.Add(c.window + time.Millisecond)
		if got := p.expired(); len(got) != 1 || got[0] != s {
			t.Errorf("%s: %d sessions end after more than %v, want this one", c.name, len(got), c.window)
		}
		p.wake(s) // it came back
		if got := p.expired(); len(got) != 0 {
			t.Errorf("%s: ended though it came back", c.name)
		}
	}
}
