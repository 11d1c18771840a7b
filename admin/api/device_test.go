package api

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// HARDENING A12: an operator sees and revokes the devices of an account, and the log says so.
func TestDevices_overTheSocket(t *testing.T) {
	s, ctx := serve(t), t.Context()
	if err := s.Create(ctx, alice, good, account.Options{}); err != nil {
		t.Fatal(err)
	}
	devices := s.Client.Devices()
	if list, err := devices.List(ctx, alice); err != nil || len(list) != 0 {
		t.Fatalf("%+v %v", list, err)
	}
	odd := account.Device{ID: "a/b c?%", Software: "Chät", Name: "Phone"}
	if _, _, err := s.accounts.Devices.Mint(ctx, alice, odd, "HT-SHA-256-NONE", time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.accounts.MintToken(ctx, alice, account.Web, account.WebTTL); err != nil {
		t.Fatal(err)
	}
	list, err := devices.List(ctx, alice)
	if err != nil || len(list) != 2 || list[0].Device != odd || list[0].Created.IsZero() || !list[0].Used.IsZero() || list[0].Expires.IsZero() || !account.Browser(list[1].ID) {
		t.Fatalf("%+v %v", list, err)
	}
	var told []string
	s.accounts.Devices.OnRevoke(func(_ jid.JID, d string) { told = append(told, d) })
	for _, k := range list {
		if err := devices.Revoke(ctx, alice, k.ID); err != nil {
			t.Errorf("%s: %v", k.ID, err)
		}
		if err := devices.Revoke(ctx, alice, k.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("%s, twice: %v", k.ID, err)
		}
	}
	if len(told) != 2 {
		t.Errorf("told of %q", told)
	}
	if _, err := devices.List(ctx, bob); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("no such account: %v", err)
	}
	s.stop()
	if n := strings.Count(s.log.String(), "admin: device revoked"); n != 2 {
		t.Errorf("%d lines in the log:\n%s", n, s.log)
	}
}
