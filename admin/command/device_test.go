package command

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func (w *world) device(args ...string) (string, error) {
	c := Device(w.open)
	c.SilenceErrors, c.SilenceUsage = true, true
	var o bytes.Buffer
	c.SetOut(&o)
	c.SetErr(&o)
	c.SetArgs(args)
	err := c.ExecuteContext(w.t.Context())
	return o.String(), err
}

func TestDevice_listAndRevoke(t *testing.T) {
	w := newWorld(t)
	alice := jid.MustParse("alice@acme.test")
	if err := w.accounts.Create(t.Context(), alice, good, account.Options{}); err != nil {
		t.Fatal(err)
	}
	want := func(out string, err error, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if err != nil || !strings.Contains(out, p) {
				t.Errorf("%v\n%s\nwant %q", err, out, p)
			}
		}
	}
	out, err := w.device("list", "alice")
	want(out, err, "signed in nowhere")
	for _, d := range []account.Device{{ID: "phone-1", Software: "Chat\x1b[2J 1", Name: "Phone"}, {ID: "desk-1"}} {
		if _, _, err := w.accounts.Devices.Mint(t.Context(), alice, d, "HT-SHA-256-NONE", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.accounts.MintToken(t.Context(), alice, account.Web, account.WebTTL); err != nil {
		t.Fatal(err)
	}
	out, err = w.device("list", "alice")
	want(out, err, "phone-1", "\uFFFD[2J 1 Phone", "desk-1", "WEB-", "Web client")
	out, err = w.device("revoke", "alice", "phone-1")
	want(out, err, "revoked phone-1 of alice@acme.test")
	if _, err := w.device("revoke", "alice", "phone-1"); err == nil || !strings.Contains(err.Error(), "parlance device list alice") {
		t.Errorf("twice: %v", err)
	}
	if _, err := w.device("list", "nobody"); err == nil || !strings.Contains(err.Error(), "no account") {
		t.Errorf("nobody: %v", err)
	}
	out, err = w.device("revoke", "alice")
	want(out, err, "revoked 2 devices of alice@acme.test")
	if list, err := w.accounts.Devices.List(t.Context(), alice); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}
