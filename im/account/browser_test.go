package account

import (
	"errors"
	"testing"
	"time"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// HARDENING A12: a browser is a device of its owner's; revoked, its cookie and what was
// made of it are dead, and nothing else is.
func TestA12_browsersAreDevices(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, alice)
		s.create(t, bob)
		var cookies, streams [2]string
		for i := range cookies {
			cookies[i], _ = s.MintToken(ctx, alice, Web, WebTTL)
			s.c.add(time.Second)
			var err error
			if streams[i], _, err = s.MintChild(ctx, cookies[i], Web, Stream, StreamTTL); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.MintToken(ctx, bob, Web, WebTTL); err != nil {
			t.Fatal(err)
		}
		token := s.mint(t, alice, phone)
		list, err := s.Devices.List(ctx, alice)
		if err != nil || len(list) != 3 || list[0].ID != phone.ID || !Browser(list[1].ID) || !Browser(list[2].ID) || list[1].ID == list[2].ID || Browser(phone.ID) {
			t.Fatalf("%+v %v", list, err)
		}
		l := s.Login(here)
		if who, err := l.Token(ctx, streams[1]); err != nil || who != alice || l.Browser() != list[1].ID { // the newest is over last
			t.Fatalf("%v %v: browser %q of %v", who, err, l.Browser(), list)
		}
		var told []string
		s.Devices.OnRevoke(func(who jid.JID, d string) { told = append(told, who.String()+" "+d) })
		began := s.c.now()
		if err := s.Devices.Revoke(ctx, bob, list[1].ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("somebody else's: %v", err)
		}
		if err := s.Devices.Revoke(ctx, alice, list[1].ID); err != nil || len(told) != 1 || told[0] != "alice@acme.test "+list[1].ID {
			t.Errorf("%v %q", err, told)
		}
		s.wantToken(t, cookies[1], Web, false)
		s.wantToken(t, streams[1], Stream, false)
		s.wantToken(t, cookies[0], Web, true)
		s.wantToken(t, streams[0], Stream, true)
		s.wantUse(t, "the phone", alice, token, sasl.Use{}, "")
		if err := s.Devices.Revoke(ctx, alice, list[1].ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("twice: %v", err)
		}
		// A session that binds asks: its login may have begun before.
		for _, c := range []struct {
			who    jid.JID
			device string
			since  time.Time
			want   bool
		}{
			{alice, list[1].ID, began, true}, {alice, list[1].ID, s.c.now().Add(time.Nanosecond), false},
			{alice, phone.ID, began, false}, {alice, "", began, false}, {alice, list[2].ID, began, false},
		} {
			if got := s.Devices.Revoked(c.who, c.device, c.since); got != c.want {
				t.Errorf("Revoked(%s, %q, %v) = %v", c.who, c.device, c.since, got)
			}
		}
		s.c.add(WebTTL)
		if list, err := s.Devices.List(ctx, alice); err != nil || len(list) != 1 {
			t.Errorf("after the browsers' time: %+v %v", list, err)
		}
	})
}

// A login of a device that is revoked meanwhile gets no token that outlives it.
func TestA12_noTokenForARevokedDevice(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		s.create(t, alice)
		s.mint(t, alice, phone)
		began := s.c.now()
		s.c.add(time.Second)
		if err := s.Devices.Revoke(t.Context(), alice, phone.ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Devices.Mint(t.Context(), alice, phone, none, began); !errors.Is(err, ErrRevoked) {
			t.Errorf("%v", err)
		}
		if _, _, err := s.Devices.Mint(t.Context(), alice, Device{ID: "another"}, none, began); err != nil {
			t.Errorf("another device: %v", err)
		}
		if _, _, err := s.Devices.Mint(t.Context(), alice, phone, none, s.c.now().Add(time.Second)); err != nil {
			t.Errorf("the same, signed in again: %v", err)
		}
	})
}
