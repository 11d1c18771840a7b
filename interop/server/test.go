package server

import (
	"context"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
)

// Test starts a server for one test and ends it with the test; its output is
// shown if the test failed.
func Test(t testing.TB, kind Kind) *Server {
	t.Helper()
	s, err := Start(context.Background(), Options{Kind: kind})
	if err != nil {
		t.Fatalf("start %s: %v", kind, err)
	}
	t.Cleanup(func() { s.Finish(t) })
	return s
}

// Finish stops the server and, if the test failed, shows its output.
func (s *Server) Finish(t testing.TB) {
	t.Helper()
	if !s.Alive() && s.waitErr != nil {
		t.Errorf("%s died by itself: %v", s.Kind, s.waitErr)
	}
	if err := s.Stop(); err != nil && s.Kind == Parlance && !t.Failed() {
		t.Errorf("stop: %v", err)
	}
	if t.Failed() {
		t.Logf("output of %s:\n%s", s.Kind, s.Output())
	}
	s.Remove()
}

// Options are the login options for one of the people.
func (s *Server) Options(user, resource string) client.Options {
	return client.Options{Addr: s.C2S, Domain: Domain, User: user, Pass: Password, Resource: resource}
}

// Login logs one of the people in, without presence, until the test ends.
func (s *Server) Login(t testing.TB, user, resource string) *client.Client {
	t.Helper()
	return s.LoginWith(t, s.Options(user, resource))
}

// LoginWith is Login with options of one's own.
func (s *Server) LoginWith(t testing.TB, o client.Options) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := client.Login(ctx, o)
	if err != nil {
		t.Fatalf("login %s/%s on %s: %v", o.User, o.Resource, s.Kind, err)
	}
	t.Cleanup(c.Close)
	return c
}
