package trace

import (
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestTracer_tellsThoseWhoWatch(t *testing.T) {
	alice, bob, carol := jid.MustParse("alice@x.test/desk"), jid.MustParse("bob@x.test"), jid.MustParse("carol@x.test")
	var tr Tracer
	if tr.On() || (*Tracer)(nil).On() {
		t.Error("on without a watcher")
	}
	tr.Tell(Event{Verb: "accept"}, alice)
	a, _, stop := tr.Watch(alice)
	b, _, stopB := tr.Watch(bob)
	tr.Tell(Event{Verb: "judge"}, alice, bob)
	tr.Tell(Event{Verb: "plan"}, alice, alice)
	tr.Tell(Event{Verb: "commit"}, carol)
	if len(a) != 2 || len(b) != 1 || (<-a).Verb != "judge" || (<-a).Verb != "plan" {
		t.Errorf("%d events of alice, %d of bob", len(a), len(b))
	}
	stop()
	stop()
	tr.Tell(Event{Verb: "write"}, alice)
	if len(a) != 0 || !tr.On() {
		t.Error("told after the end, or bob's watcher is forgotten")
	}
	stopB()
	if tr.On() {
		t.Error("on though nobody watches")
	}
}

func TestTracer_slowWatcherLosesEvents(t *testing.T) {
	alice := jid.MustParse("alice@x.test")
	var tr Tracer
	a, lost, stop := tr.Watch(alice)
	defer stop()
	for range backlog + 5 {
		tr.Tell(Event{}, alice)
	}
	if len(a) != backlog || lost() != 5 || lost() != 0 {
		t.Errorf("%d events", len(a))
	}
}

func TestTracer_offAllocatesNothing(t *testing.T) {
	var tr Tracer
	n := 0
	if a := testing.AllocsPerRun(100, func() {
		if tr.On() {
			n++
		}
	}); a != 0 || n != 0 {
		t.Errorf("%v allocations", a)
	}
}
