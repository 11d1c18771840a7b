package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	alice = jid.MustParse("alice@x.test/phone")
	bob   = jid.MustParse("bob@x.test")
)

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time        { return time.UnixMicro(c.at.Load()).UTC() }
func (c *clock) move(by time.Duration) { c.at.Add(by.Microseconds()) }

// shop is a store and what a test needs of it.
type shop struct {
	*Store
	t   testing.TB
	db  *store.DB
	c   *clock
	dir string
}

func small() Limits {
	l := DefaultLimits()
	l.Size, l.PerDay, l.Total, l.FilesPerDay, l.OpenSlots, l.Profile = 1000, 2000, 5000, 50, 20, 500
	return l
}

func open(t testing.TB, db *store.DB, change func(*Config)) *shop {
	t.Helper()
	if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
		t.Fatal(err)
	}
	c := newClock()
	conf := Config{DB: db, Dir: t.TempDir(), Limits: small(), Strip: true, Now: c.now}
	if change != nil {
		change(&conf)
	}
	s, err := Open(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &shop{s, t, db, c, conf.Dir}
}

func run(t *testing.T, f func(t *testing.T, s *shop)) {
	storetest.Run(t, func(t *testing.T, db *store.DB) { f(t, open(t, db, nil)) })
}

func (s *shop) grant(size int64) Granted {
	s.t.Helper()
	g, err := s.Grant(s.t.Context(), Request{Owner: alice, Name: "a.txt", Size: size, Purpose: ForMessage})
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

func (s *shop) put(g Granted, content string) (*File, error) {
	return s.Receive(s.t.Context(), g.Put, Incoming{Size: int64(len(content)), Body: strings.NewReader(content)})
}

func (s *shop) add(content string) *File {
	s.t.Helper()
	f, err := s.put(s.grant(int64(len(content))), content)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// content reads a file as a download does.
func (s *shop) content(id string) (string, error) {
	f, err := s.Find(s.t.Context(), id)
	if err != nil {
		return "", err
	}
	if err := f.Gate(s.c.now()); err != nil {
		return "", err
	}
	c, err := s.Store.Open(s.t.Context(), f)
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	return string(b), err
}

// disk lists what is under the folder and how many bytes that is.
func (s *shop) disk() (files []string, bytes int64) {
	s.t.Helper()
	err := filepath.WalkDir(s.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(s.dir, p)
		files, bytes = append(files, rel), bytes+st.Size()
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return files, bytes
}

// usage is what is counted, and what the rows say should be.
func (s *shop) usage(who jid.JID) (counted, rows int64) {
	s.t.Helper()
	err := s.db.Read(s.t.Context(), func(tx *store.Tx) error {
		if err := tx.Row(`SELECT coalesce(max(bytes), 0) FROM file_usage WHERE owner = $1`, who.Bare().String()).Scan(&counted); err != nil {
			return err
		}
		return tx.Row(`SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM file WHERE owner = $1`, who.Bare().String()).Scan(&rows)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return counted, rows
}

func TestReceive_fromSlotToDownload(t *testing.T) {
	run(t, func(t *testing.T, s *shop) {
		g := s.grant(5)
		if len(g.Put) < 26 || len(g.ID) < 26 || g.Put == g.ID { // 26 letters of base32: 130 bits (HARDENING A10)
			t.Errorf("secrets %q %q", g.Put, g.ID)
		}
		if _, err := s.content(g.ID); !errors.Is(err, ErrUnknown) {
			t.Errorf("a slot can be downloaded: %v", err)
		}
		f, err := s.put(g, "hello")
		if err != nil {
			t.Fatal(err)
		}
		if f.State != Clean || f.Stored != 5 || f.Name != "a.txt" {
			t.Errorf("%+v", f)
		}
		if got, err := s.content(g.ID); got != "hello" || err != nil {
			t.Errorf("%q %v", got, err)
		}
		if _, err := s.content(g.Put); !errors.Is(err, ErrUnknown) {
			t.Errorf("the slot's secret opens the file: %v", err)
		}
		// HARDENING H4: one success.
		if _, err := s.put(g, "HELLO"); !errors.Is(err, ErrTaken) {
			t.Errorf("a second upload: %v", err)
		}
		files, _ := s.disk()
		if len(files) != 1 || !strings.HasPrefix(files[0], "blob/2c/") {
			t.Errorf("on disk: %v", files)
		}
		if st, err := os.Stat(filepath.Join(s.dir, files[0])); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", st.Mode(), err)
		}
	})
}

func TestReceive_whatDoesNotFit(t *testing.T) {
	run(t, func(t *testing.T, s *shop) {
		g, err := s.Grant(t.Context(), Request{Owner: alice, Name: "a.png", Media: "image/png", Size: 5, Purpose: ForMessage})
		if err != nil {
			t.Fatal(err)
		}
		// XEP-0363 §7: MUST be refused when the length is another, SHOULD when the type is.
		for name, c := range map[string]struct {
			in   Incoming
			want error
		}{
			"longer":              {Incoming{6, "image/png", strings.NewReader("hello!")}, ErrSize},
			"shorter":             {Incoming{4, "image/png", strings.NewReader("hell")}, ErrSize},
			"without length":      {Incoming{-1, "image/png", strings.NewReader("hello")}, ErrSize},
			"lies, longer":        {Incoming{5, "image/png", strings.NewReader("hello!")}, ErrSize},
			"lies, shorter":       {Incoming{5, "image/png", strings.NewReader("hell")}, ErrSize},
			"another type":        {Incoming{5, "text/html", strings.NewReader("hello")}, ErrMedia},
			"no type":             {Incoming{5, "", strings.NewReader("hello")}, ErrMedia},
			"type of nothing":     {Incoming{5, ";;", strings.NewReader("hello")}, ErrMedia},
			"breaks off":          {Incoming{5, "image/png", io.MultiReader(strings.NewReader("he"), failing{})}, ErrAborted},
			"unexpected end":      {Incoming{5, "image/png", io.MultiReader(strings.NewReader("he"), cut{})}, ErrAborted},
			"breaks off at first": {Incoming{5, "image/png", failing{}}, ErrAborted},
		} {
			if _, err := s.Receive(t.Context(), g.Put, c.in); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			if files, _ := s.disk(); len(files) != 0 {
				t.Errorf("%s leaves %v", name, files)
			}
		}
		if _, err := s.Receive(t.Context(), "nothing", Incoming{5, "image/png", strings.NewReader("hello")}); !errors.Is(err, ErrUnknown) {
			t.Errorf("an unknown slot: %v", err)
		}
		// All that has not used it up; parameters are a library's own.
		f, err := s.Receive(t.Context(), g.Put, Incoming{5, "Image/PNG; charset=utf-8", strings.NewReader("hello")})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.content(f.ID); got != "hello" || err != nil {
			t.Errorf("%q %v", got, err)
		}
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestReceive_expiredOrLockedOut(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		active := true
		s := open(t, db, func(c *Config) {
			c.Active = func(context.Context, jid.JID) (bool, error) { return active, nil }
		})
		g := s.grant(5)
		active = false // HARDENING A12
		if _, err := s.put(g, "hello"); !errors.Is(err, ErrForbidden) {
			t.Errorf("a locked account uploads: %v", err)
		}
		active = true
		s.c.move(s.conf.Limits.Slot)
		if _, err := s.put(g, "hello"); !errors.Is(err, ErrGone) {
			t.Errorf("an expired slot: %v", err)
		}
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if counted, rows := s.usage(alice); counted != 0 || rows != 0 {
			t.Errorf("%d bytes counted, %d in rows, after the slot expired", counted, rows)
		}
	})
}

// HARDENING H4: many uploads for one slot at a time: one success, one content.
func TestReceive_concurrent(t *testing.T) {
	run(t, func(t *testing.T, s *shop) {
		g := s.grant(100)
		var won atomic.Int64
		var winner atomic.Value
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				content := strings.Repeat(string(rune('a'+i)), 100)
				_, err := s.put(g, content)
				switch {
				case err == nil:
					won.Add(1)
					winner.Store(content)
				case !errors.Is(err, ErrTaken):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d successes", won.Load())
		}
		if got, err := s.content(g.ID); got != winner.Load() || err != nil {
			t.Errorf("%q %v", got, err)
		}
		if _, bytes := s.disk(); bytes != 100 {
			t.Errorf("%d bytes on disk", bytes)
		}
	})
}

// waiting is an upload that does not go on until it is told to.
type waiting struct {
	begun chan<- struct{}
	next  <-chan struct{}
}

func (w waiting) Read([]byte) (int, error) {
	w.begun <- struct{}{}
	<-w.next
	return 0, io.ErrUnexpectedEOF
}

// One account, however slowly it sends, does not keep others from uploading.
func TestReceive_atATime(t *testing.T) {
	run(t, func(t *testing.T, s *shop) {
		s.conf.Limits.AtATime = 3
		begun, on := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		for range 3 {
			g := s.grant(1)
			all.Go(func() {
				if _, err := s.Receive(t.Context(), g.Put, Incoming{Size: 1, Body: waiting{begun, on}}); !errors.Is(err, ErrAborted) {
					t.Error(err)
				}
			})
			<-begun
		}
		g := s.grant(1)
		if _, err := s.put(g, "x"); !errors.Is(err, ErrBusy) {
			t.Errorf("a fourth at a time: %v", err)
		}
		other, err := s.Grant(t.Context(), Request{Owner: bob, Name: "x", Size: 1, Purpose: ForMessage})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.put(other, "x"); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		close(on)
		all.Wait()
		if _, err := s.put(g, "x"); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// HARDENING H4: 64 goroutines at a quota; what is granted, counted and on disk
// is the quota exactly.
func TestGrant_quotaRace(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		const each, n = 97, 64
		s := open(t, db, func(c *Config) {
			c.Limits = Limits{Size: 1000, PerDay: 1 << 40, Total: 10*each + 50, FilesPerDay: 1000, OpenSlots: 1000, Slot: time.Minute, Uploads: n, AtATime: n}
		})
		var granted atomic.Int64
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				content := fmt.Sprintf("%0*d", each, i) // no two alike
				g, err := s.Grant(t.Context(), Request{Owner: alice, Name: "x", Size: each, Purpose: ForMessage})
				if err != nil {
					if _, full := errors.AsType[*QuotaError](err); !full {
						t.Error(err)
					}
					return
				}
				granted.Add(1)
				if _, err := s.put(g, content); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		counted, rows := s.usage(alice)
		_, bytes := s.disk()
		if granted.Load() != 10 || counted != 10*each || rows != counted || bytes != counted {
			t.Errorf("granted %d, counted %d, in rows %d, on disk %d", granted.Load(), counted, rows, bytes)
		}
	})
}

func TestGrant_limits(t *testing.T) {
	run(t, func(t *testing.T, s *shop) {
		ask := func(r Request) error {
			r.Owner = alice
			if r.Purpose == "" {
				r.Purpose = ForMessage
			}
			_, err := s.Grant(t.Context(), r)
			return err
		}
		if large, ok := errors.AsType[*TooLargeError](ask(Request{Name: "x", Size: 1001})); !ok || large.Max != 1000 {
			t.Error("a file over the limit")
		}
		quota := func(what string, r Request) *QuotaError {
			t.Helper()
			q, ok := errors.AsType[*QuotaError](ask(r))
			if !ok {
				t.Fatalf("%s: granted", what)
			}
			return q
		}
		if err := ask(Request{Name: "x", Size: 500, Purpose: ForProfile}); err != nil {
			t.Fatal(err)
		}
		if q := quota("profile", Request{Name: "x", Size: 1, Purpose: ForProfile}); !q.Retry.IsZero() {
			t.Errorf("waiting does not help a profile: %v", q.Retry)
		}
		s.c.move(time.Minute)
		for range 3 {
			if err := ask(Request{Name: "x", Size: 500}); err != nil {
				t.Fatal(err)
			}
		}
		// The day is full; the first 500 leave it a day after they came.
		first := s.c.now().Add(-time.Minute).Add(day)
		if q := quota("day", Request{Name: "x", Size: 500}); !q.Retry.Equal(first) {
			t.Errorf("retry at %v, want %v", q.Retry, first)
		}
		if q := quota("day", Request{Name: "x", Size: 501}); !q.Retry.Equal(first.Add(time.Minute)) {
			t.Errorf("retry at %v, want %v", q.Retry, first.Add(time.Minute))
		}
		// None of the slots was used: when they expire all is free again.
		s.c.move(s.conf.Limits.Slot)
		for range 2 {
			if err := ask(Request{Name: "x", Size: 1000}); err != nil {
				t.Fatal(err)
			}
		}
		s.c.move(s.conf.Limits.Slot)
		for range s.conf.Limits.OpenSlots {
			if err := ask(Request{Name: "x", Size: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if q := quota("open slots", Request{Name: "x", Size: 1}); q.Retry.IsZero() {
			t.Error("waiting helps")
		}
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if counted, rows := s.usage(alice); counted != 20 || rows != 20 {
			t.Errorf("counted %d, in rows %d, want 20", counted, rows)
		}
		if _, err := s.Grant(t.Context(), Request{Owner: bob, Name: "x", Size: 1000, Purpose: ForMessage}); err != nil {
			t.Errorf("somebody else: %v", err)
		}
	})
}

// Every pair of states: what a verdict may do, and what may be downloaded.
func TestMove_transitions(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		s := open(t, db, func(c *Config) { c.Scanned = true })
		states := []State{Pending, Clean, Held, Refused}
		gates := map[State]error{Pending: ErrPending, Held: ErrHeld, Refused: ErrRefused}
		// The way there from pending, where a scanned upload begins.
		way := map[State][]State{Pending: {}, Clean: {Clean}, Held: {Held}, Refused: {Refused}}
		allowed := map[[2]State]bool{
			{Pending, Clean}: true, {Pending, Held}: true, {Pending, Refused}: true,
			{Clean, Held}: true, {Clean, Refused}: true, {Held, Clean}: true, {Held, Refused}: true,
		}
		for _, from := range states {
			for _, to := range append(states, Slot, Uploading, "nonsense") {
				f := s.add("x")
				if f.State != Pending {
					t.Fatalf("a new file is %s", f.State)
				}
				for _, step := range way[from] {
					if err := s.Move(t.Context(), f.ID, step, "why"); err != nil {
						t.Fatal(err)
					}
				}
				err := s.Move(t.Context(), f.ID, to, "because")
				if ok := err == nil; ok != (allowed[[2]State{from, to}] || from == to) {
					t.Errorf("%s to %s: %v", from, to, err)
				}
				now := from
				if err == nil {
					now = to
				} else if !errors.Is(err, ErrState) {
					t.Errorf("%s to %s: %v", from, to, err)
				}
				if _, err := s.content(f.ID); !errors.Is(err, gates[now]) {
					t.Errorf("%s to %s: the gate says %v, want %v", from, to, err, gates[now])
				}
			}
		}
		if err := s.Move(t.Context(), "nobody", Clean, ""); !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
		if err := s.Move(t.Context(), s.slotID(), Clean, ""); !errors.Is(err, ErrState) {
			t.Errorf("a slot without content becomes clean: %v", err)
		}
		held, err := s.In(t.Context(), Held, "", 2)
		if err != nil || len(held) != 2 {
			t.Fatalf("%v %v", held, err)
		}
		next, err := s.In(t.Context(), Held, held[1].ID, 2)
		if err != nil || len(next) == 0 || next[0].ID <= held[1].ID || next[0].State != Held {
			t.Errorf("%v %v", next, err)
		}
	})
}

func (s *shop) slotID() string { return s.grant(1).ID }

func TestGate_ephemeralEnds(t *testing.T) {
	run(t, func(t *testing.T, s *shop) {
		g, err := s.Grant(t.Context(), Request{Owner: alice, Name: "x", Size: 1, Purpose: ForEphemeral, Until: s.c.now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.put(g, "x"); err != nil {
			t.Fatal(err)
		}
		s.c.move(time.Hour - time.Microsecond)
		if _, err := s.content(g.ID); err != nil {
			t.Errorf("before its time: %v", err)
		}
		s.c.move(time.Microsecond)
		if _, err := s.content(g.ID); !errors.Is(err, ErrGone) { // XEP-0363 §5.3
			t.Errorf("after its time: %v", err)
		}
	})
}

func commented(t testing.TB, secret string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	j := b.Bytes()
	out := append([]byte{}, j[:2]...)
	out = append(out, 0xFF, 0xFE, 0, byte(len(secret)+2))
	return append(append(out, secret...), j[2:]...)
}

func TestReceive_metadataIsRemoved(t *testing.T) {
	run(t, func(t *testing.T, s *shop) {
		s.conf.Strip = true
		in := string(commented(t, "48.8584N"))
		f := s.add(in)
		got, err := s.content(f.ID)
		if err != nil || strings.Contains(got, "48.8584N") || int64(len(got)) != f.Stored || len(got) >= len(in) {
			t.Errorf("%d bytes of %d, stored %d, %v", len(got), len(in), f.Stored, err)
		}
		if again := s.add(got); again.Hash != f.Hash {
			t.Error("a picture without metadata is changed")
		}
		if files, _ := s.disk(); len(files) != 1 { // one content for both, and nothing under tmp
			t.Errorf("%v", files)
		}
		s.conf.Strip = false
		if got, _ := s.content(s.add(in).ID); got != in {
			t.Error("switched off, it changes the file")
		}
	})
}

func TestThumb_madeOnceAndKept(t *testing.T) {
	run(t, func(t *testing.T, s *shop) {
		f := s.add(string(commented(t, "x")))
		var first string
		for i := range 3 {
			f, err := s.Find(t.Context(), f.ID)
			if err != nil {
				t.Fatal(err)
			}
			if i > 0 && f.thumbed != "made" {
				t.Errorf("it is not kept: %q", f.thumbed)
			}
			c, size, hash, err := s.Thumb(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(c)
			c.Close()
			if err != nil || int64(len(b)) != size || len(hash) != 64 || i > 0 && string(b) != first {
				t.Errorf("%d bytes, %d, %v", len(b), size, err)
			}
			first = string(b)
		}
		text := s.add("no picture")
		if _, _, _, err := s.Thumb(t.Context(), text); !errors.Is(err, ErrNoThumb) {
			t.Error(err)
		}
		if again, err := s.Find(t.Context(), text.ID); err != nil || again.thumbed != "none" {
			t.Errorf("it is tried again: %+v %v", again, err)
		}
	})
}
