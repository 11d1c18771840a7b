package server

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/admin/api"
	"github.com/parlance-im/parlance/im/trace"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestTrace_sixVerbsOfAMessage(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	r := demo(t, dir)
	alice, bob := r.login("alice", "acme.test", "parlance"), r.login("bob", "acme.test", "parlance")
	bob.say("<presence/>"+pong, "id='p'")
	client, err := api.Dial(t.Context(), filepath.Join(dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	began, done, events := make(chan struct{}), make(chan error, 1), make(chan trace.Event, 100)
	go func() {
		done <- client.Trace(ctx, jid.MustParse("bob@acme.test"), func() { close(began) }, func(e trace.Event) { events <- e })
	}()
	<-began
	alice.say(message("carol@acme.test", "not his business")+strings.Replace(message("bob@acme.test", "the secret"), "<message", "<message id='m7'", 1)+pong, "id='p'")
	bob.say("", "the secret</body>")
	var verbs []string
	for len(verbs) < 6 {
		e := <-events
		if e.Kind != "message" {
			continue
		}
		verbs = append(verbs, e.Verb)
		if e.At.IsZero() || strings.Contains(e.What, "secret") || e.Verb != "write" && (e.ID != "m7" || e.To != "bob@acme.test" || !strings.HasPrefix(e.From, "alice@acme.test/")) {
			t.Errorf("%+v", e)
		}
	}
	if want := []string{"accept", "judge", "plan", "commit", "fanout", "write"}; !slices.Equal(verbs, want) {
		t.Errorf("%v, want %v", verbs, want)
	}
	if err := client.Trace(t.Context(), jid.MustParse("bob@elsewhere.test"), func() {}, nil); err == nil {
		t.Error("an account of another server can be watched")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	// A watcher does not keep the server from stopping, and hears no error of it.
	again := make(chan struct{})
	go func() {
		done <- client.Trace(t.Context(), jid.MustParse("bob@acme.test"), func() { close(again) }, func(trace.Event) {})
	}()
	<-again
	alice.bye()
	bob.bye()
	r.stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	client.Close()
}
