package sasl

import (
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestPlain_table(t *testing.T) {
	alice := jid.MustParse("alice@acme.test")
	for _, c := range []struct{ name, msg, want string }{
		{"simple", "\x00alice\x00correct horse", ""},
		{"own authzid", "alice@acme.test\x00alice\x00correct horse", ""},
		{"case variant", "Alice@acme.test\x00ALICE\x00correct horse", ""},
		{"authcid is the bare JID", "\x00alice@acme.test\x00correct horse", ""},
		{"another's authzid (A5)", "bob@acme.test\x00alice\x00correct horse", InvalidAuthzid},
		{"another domain's authzid (A5)", "alice@b.test\x00alice\x00correct horse", InvalidAuthzid},
		{"authzid without domain", "alice\x00alice\x00correct horse", InvalidAuthzid},
		{"wrong password", "\x00alice\x00wrong", NotAuthorized},
		{"no such account", "\x00nobody\x00correct horse", NotAuthorized},
		{"name that cannot exist", "\x00a b\x00correct horse", NotAuthorized},
		{"account of another domain", "\x00alice@b.test\x00correct horse", NotAuthorized},
		{"disabled, right password (RFC 6120 §6.5.2)", "\x00bob\x00battery staple", AccountDisabled},
		{"disabled, wrong password", "\x00bob\x00wrong", NotAuthorized},
		{"no password", "\x00alice\x00", MalformedRequest},
		{"no user", "\x00\x00pw", MalformedRequest},
		{"two parts", "alice\x00pw", MalformedRequest},
		{"four parts", "\x00alice\x00pw\x00", MalformedRequest},
		{"not UTF-8", "\x00alice\x00\xff", MalformedRequest},
		{"endless password", "\x00alice\x00" + strings.Repeat("x", maxPassword+1), MalformedRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := conf().Start(Plain, tls12, newPeople())
			if err != nil {
				t.Fatal(err)
			}
			ch, done, err := x.Next(t.Context(), []byte(c.msg))
			if c.want == "" {
				if err != nil || !done || len(ch) != 0 || x.JID() != alice {
					t.Fatalf("challenge %q done %v JID %v err %v", ch, done, x.JID(), err)
				}
			} else {
				wantCondition(t, err, c.want)
				if done || !x.JID().IsZero() {
					t.Errorf("done %v JID %v", done, x.JID())
				}
			}
			_, _, err = x.Next(t.Context(), []byte("\x00alice\x00correct horse"))
			wantCondition(t, err, MalformedRequest)
		})
	}
}

func TestBearer_table(t *testing.T) {
	alice := jid.MustParse("alice@acme.test")
	for _, c := range []struct{ name, msg, want string }{
		{"simple", "n,,\x01auth=Bearer tok-alice\x01\x01", ""},
		{"y: no binding exists to be offered", "y,,\x01auth=Bearer tok-alice\x01\x01", ""},
		{"example's shape (RFC 7628 §4.1)", "n,a=alice@acme.test,\x01host=acme.test\x01port=143\x01auth=Bearer tok-alice\x01\x01", ""},
		{"scheme is case-insensitive", "n,,\x01auth=bearer tok-alice\x01\x01", ""},
		{"another's authzid (A5)", "n,a=bob@acme.test,\x01auth=Bearer tok-alice\x01\x01", InvalidAuthzid},
		{"no such token", "n,,\x01auth=Bearer nothing\x01\x01", NotAuthorized},
		{"token of another domain", "n,,\x01auth=Bearer tok-other\x01\x01", NotAuthorized},
		{"binding (RFC 7628 §5)", "p=tls-exporter,,\x01auth=Bearer tok-alice\x01\x01", MalformedRequest},
		{"two tokens", "n,,\x01auth=Bearer nothing\x01auth=Bearer tok-alice\x01\x01", MalformedRequest},
		{"no token", "n,,\x01host=acme.test\x01\x01", MalformedRequest},
		{"empty token", "n,,\x01auth=Bearer \x01\x01", MalformedRequest},
		{"space in the token", "n,,\x01auth=Bearer tok alice\x01\x01", MalformedRequest},
		{"other scheme", "n,,\x01auth=Basic tok-alice\x01\x01", MalformedRequest},
		{"not ended", "n,,\x01auth=Bearer tok-alice\x01", MalformedRequest},
		{"not begun", "n,,auth=Bearer tok-alice\x01\x01", MalformedRequest},
		{"no header", "\x01auth=Bearer tok-alice\x01\x01", MalformedRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := conf().Start(OAuthBearer, tls12, newPeople())
			if err != nil {
				t.Fatal(err)
			}
			ch, done, err := x.Next(t.Context(), []byte(c.msg))
			switch c.want {
			case "":
				if err != nil || !done || len(ch) != 0 || x.JID() != alice {
					t.Fatalf("challenge %q done %v JID %v err %v", ch, done, x.JID(), err)
				}
				return
			case NotAuthorized:
				// RFC 7628 §3.2.2: first the error document, then, whatever the
				// answer is, the failure.
				if err != nil || done || string(ch) != `{"status":"invalid_token"}` {
					t.Fatalf("challenge %q done %v err %v", ch, done, err)
				}
				_, done, err = x.Next(t.Context(), []byte("\x01"))
			}
			wantCondition(t, err, c.want)
			if done || !x.JID().IsZero() {
				t.Errorf("done %v JID %v", done, x.JID())
			}
			_, _, err = x.Next(t.Context(), []byte("n,,\x01auth=Bearer tok-alice\x01\x01"))
			wantCondition(t, err, MalformedRequest)
		})
	}
}
