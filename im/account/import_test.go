package account

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

func readyMade(t *testing.T, h sasl.Hash, n int) string {
	t.Helper()
	k, err := sasl.Derive(h, good, []byte("saltsaltsaltsalt"), n)
	if err != nil {
		t.Fatal(err)
	}
	e := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%d:%s:%s:%s", n, e(k.Salt), e(k.StoredKey), e(k.ServerKey))
}

func TestImport_goodAndBadLines(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		ctx := t.Context()
		s.create(t, bob)
		k256, k1 := readyMade(t, sasl.SHA256, 4096), readyMade(t, sasl.SHA1, 4096)
		file := "\ufeffUser,password,name,admin,disabled,scram_sha256,scram_sha1\r\n" + // 1
			"alice," + good + ",\"Liddell, Alice\",yes,,,\r\n" + // 2
			"bob," + good + ",,,,,\n" + // 3: exists
			"Carol@ACME.test,,Carol,no,1," + k256 + "," + k1 + "\n" + // 4: keys
			"dave,,,,," + k256 + ",\n" + // 5: one key
			"erin,short,,,,,\n" + // 6
			"frank@b.test," + good + ",,,,,\n" + // 7
			"a b," + good + ",,,,,\n" + // 8
			"grace," + good + ",,maybe,,,\n" + // 9
			"heidi,,,,,,\n" + // 10
			"ivan," + good + ",,,," + k256 + ",\n" + // 11
			"judy,,,,,4096:x:y:z,\n" + // 12
			"mallory,,,,,7:" + strings.SplitN(k256, ":", 2)[1] + ",\n" + // 13
			"niaj," + good + "\n" + // 14: too few fields
			"olivia,\"" + good + ",,,,,\n" + // 15: never closed quote … swallows to the next
			"\",,,,\n" + // 16
			"alice," + good + ",,,,,\n" + // 17: twice
			"peggy,\"tomato \"\"voyage\"\" 19\nnew line\",,,,,\n" + // 18-19
			"," + good + ",,,,,\n" + // 20
			"rupert," + good + ",bad\x1bname,,,,\n" // 21
		var bad []int
		var last Progress
		got, err := s.Import(ctx, strings.NewReader(file), Import{
			Domain: "acme.test", Iterations: 1000, Size: int64(len(file)),
			Progress: func(p Progress) { last = p },
			Bad: func(line int, why string) {
				bad = append(bad, line)
				if why == "" || strings.Contains(why, good) {
					t.Errorf("line %d: reason %q", line, why)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := []int{3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 20, 21}; !slices.Equal(bad, want) {
			t.Errorf("bad lines %v, want %v", bad, want)
		}
		if got.Done != 3 || got.Bad != len(bad) || got != last || got.Bytes != int64(len(file))-3 {
			t.Errorf("result %+v, last progress %+v", got, last)
		}
		a, err := s.Get(ctx, alice)
		if err != nil || a.Name != "Liddell, Alice" || !a.Admin || a.Disabled {
			t.Errorf("alice: %+v %v", a, err)
		}
		for who, want := range map[string]string{"alice": "", "bob": "", "carol": sasl.AccountDisabled, "dave": "", "erin": sasl.NotAuthorized} {
			if c := condition(t, s.Login(here).Password(ctx, jid.MustParse(who+"@acme.test"), good)); c != want {
				t.Errorf("login of %s: %q, want %q", who, c, want)
			}
		}
	})
}

func TestImport_headers(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		for file, want := range map[string]string{
			"":                         "empty",
			"user,passwort\n":          `no column "passwort"`,
			"user,name\n":              "is needed",
			"password,name\n":          "is needed",
			"user,password,user\n":     "twice",
			"user,password\"x\n":       "header",
			"user,jid,password\na,b\n": "is needed",
		} {
			_, err := s.Import(t.Context(), strings.NewReader(file), Import{Domain: "acme.test", Iterations: 1000})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", file, err, want)
			}
		}
		for _, n := range []int{999, 1_000_001, -1} {
			if _, err := s.Import(t.Context(), strings.NewReader("user,password\n"), Import{Domain: "acme.test", Iterations: n}); err == nil {
				t.Errorf("%d iterations accepted", n)
			}
		}
	})
}

func TestImport_severalBatchesInOrder(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		const n = 3*importBatch + 7
		var b strings.Builder
		b.WriteString("user,scram_sha256\n")
		key := readyMade(t, sasl.SHA256, 1000)
		for i := range n {
			fmt.Fprintf(&b, "u%d,%s\n", i, key)
		}
		var reports []Progress
		got, err := s.Import(t.Context(), strings.NewReader(b.String()), Import{
			Domain: "acme.test", Iterations: 1000, Size: int64(b.Len()), Progress: func(p Progress) { reports = append(reports, p) },
		})
		if err != nil || got.Done != n || len(reports) != 4 {
			t.Fatalf("%+v, %d reports, %v", got, len(reports), err)
		}
		for i, p := range reports[1:] {
			if p.Done <= reports[i].Done || p.Bytes <= reports[i].Bytes {
				t.Errorf("report %d does not go on: %+v", i+1, p)
			}
		}
		if c, err := s.Count(t.Context()); c != n || err != nil {
			t.Errorf("%d accounts, %v", c, err)
		}
	})
}

// broken is a file whose disk fails in the middle.
type broken struct{ r io.Reader }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestImport_stopsWithTheFileOrTheCaller(t *testing.T) {
	run(t, func(t *testing.T, s fix) {
		// Import's own goroutines are gone when it returns, however it ends.
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
		file := "user,password\nalice," + good + "\n"
		_, err := s.Import(t.Context(), broken{strings.NewReader(file)}, Import{Domain: "acme.test", Iterations: 1000})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("broken file: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = s.Import(ctx, strings.NewReader(file), Import{Domain: "acme.test", Iterations: 1000})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func FuzzImportLine(f *testing.F) {
	f.Add("alice,pw,name,yes,no,1000:YQ==:YQ==:YQ==,")
	f.Add("\"a\"\"b\",,,,,,")
	f.Add("\",\x00,\xff")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := newLineReader(strings.NewReader("user,password,name,admin,disabled,scram_sha256,scram_sha1\n"+text), "acme.test")
		if err != nil {
			t.Fatal(err)
		}
		for {
			b, err := r.batch(16)
			if err != nil || len(b.lines) == 0 {
				return
			}
			for _, l := range b.lines {
				if l.bad == "" && (checkName(l.account.JID) != nil || l.account.JID.Domain() != "acme.test" || (l.password == "") == (l.keys == nil)) {
					t.Fatalf("accepted %+v from %q", l, text)
				}
			}
		}
	})
}
