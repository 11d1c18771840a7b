package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestHist_withinItsError(t *testing.T) {
	var h Hist
	var all []time.Duration
	// Durations over seven decades, each a little larger than the one before.
	for v := 1.0; v < 3e9; v *= 1.003 {
		d := time.Duration(v)
		h.Add(d)
		all = append(all, d)
	}
	if h.Count() != int64(len(all)) {
		t.Fatalf("%d counted, %d added", h.Count(), len(all))
	}
	slices.Sort(all)
	for _, q := range []float64{0, .1, .5, .9, .99, .999, .9999, 1} {
		want := all[min(int(q*float64(len(all))), len(all)-1)]
		if got := h.At(q); got < want || float64(got) > float64(want)*(1+1.0/sub)+1 {
			t.Errorf("quantile %v: %d, want %d to 1/%d more", q, got, want, sub)
		}
	}
	if got := h.At(1); got != all[len(all)-1] {
		t.Errorf("largest: %d, want %d exactly", got, all[len(all)-1])
	}
}

func TestHist_bucketsCoverEverything(t *testing.T) {
	for i := range (ranks+1)*sub - 1 {
		if slot(top(i)) != i || slot(top(i)+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which is in %d; the next value is in %d", i, top(i), slot(top(i)), slot(top(i)+1))
		}
	}
	var h Hist
	for _, d := range []time.Duration{-5, 0, 24 * time.Hour} {
		h.Add(d)
	}
	if h.Count() != 3 || h.At(1) != 24*time.Hour || h.At(0) != 0 {
		t.Errorf("count %d, largest %s, smallest %s", h.Count(), h.At(1), h.At(0))
	}
	if (&Hist{}).Latency() != nil {
		t.Error("an empty histogram has a latency")
	}
}

func TestDueAfter_exactForHours(t *testing.T) {
	tests := []struct {
		i    int64
		rate int
		want time.Duration
	}{
		{0, 5000, 0}, {1, 5000, 200 * time.Microsecond}, {5000, 5000, time.Second},
		{3, 7, 3 * time.Second / 7}, {100_000_000, 5000, 20_000 * time.Second}, {1, 1, time.Second},
	}
	for _, tt := range tests {
		if got := dueAfter(tt.i, tt.rate); got != tt.want {
			t.Errorf("unit %d at %d/s: %s, want %s", tt.i, tt.rate, got, tt.want)
		}
	}
}

// Coordinated omission: a unit that had to wait for the one before is still
// told when it was due.
func TestPace_lateUnitsKeepTheirDueTime(t *testing.T) {
	const total, rate = 300, 10_000
	start := time.Now()
	var mu sync.Mutex
	due := make([]time.Time, total)
	hold := make(chan struct{})
	err := pace(t.Context(), 4, total, rate, start, func(i int64, d time.Time) error {
		if i == total-1 {
			close(hold)
		}
		if i == 0 {
			<-hold // the first stalls until the last has been sent
		}
		mu.Lock()
		defer mu.Unlock()
		due[i] = d
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range due {
		if want := start.Add(dueAfter(int64(i), rate)); !d.Equal(want) {
			t.Fatalf("unit %d is due at %s, want %s", i, d, want)
		}
	}
}

func TestPace_endsWithErrorOrTime(t *testing.T) {
	boom := errors.New("boom")
	err := pace(t.Context(), 4, 1<<40, 1_000_000, time.Now(), func(i int64, _ time.Time) error {
		if i > 100 {
			return boom
		}
		return nil
	})
	if !errors.Is(err, boom) {
		t.Errorf("error %v, want boom", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	err = pace(ctx, 4, 1<<40, 1_000_000, time.Now(), func(i int64, _ time.Time) error {
		if i == 100 {
			cancel(errLate)
		}
		return nil
	})
	if late(err) != nil || err == nil {
		t.Errorf("error %v, want the end of the time", err)
	}
}

func TestSequence_countsEachFault(t *testing.T) {
	tests := []struct {
		name               string
		in                 []int64
		doubled, reordered int64
		took               int
	}{
		{"in order", []int64{0, 1, 2, 3}, 0, 0, 4},
		{"one lost", []int64{0, 2, 3}, 0, 0, 3},
		{"swapped", []int64{0, 2, 1, 3}, 0, 1, 4},
		{"doubled", []int64{0, 1, 1, 2, 0}, 2, 0, 3},
		{"late and doubled", []int64{2, 0, 0, 1, 3}, 1, 2, 4},
	}
	for _, tt := range tests {
		var s sequence
		took := 0
		for _, n := range tt.in {
			if s.take(n) {
				took++
			}
		}
		if s.doubled != tt.doubled || s.reordered != tt.reordered || took != tt.took {
			t.Errorf("%s: doubled %d, reordered %d, took %d; want %d, %d, %d", tt.name, s.doubled, s.reordered, took, tt.doubled, tt.reordered, tt.took)
		}
	}
}

func TestParseBody_onlyOwnMessages(t *testing.T) {
	at := time.Unix(0, 1234567890123456789)
	tests := []struct {
		body string
		n    int64
		ok   bool
	}{
		{"tag 7 1234567890123456789" + text, 7, true},
		{"other 7 1234567890123456789" + text, 0, false},
		{"tag 7 1234567890123456789", 0, false},
		{"tag x 1234567890123456789 t", 0, false},
		{"tag -1 1234567890123456789 t", 0, false},
		{"hello", 0, false},
		{"", 0, false},
	}
	for _, tt := range tests {
		n, due, ok := parseBody([]byte(tt.body), "tag")
		if ok != tt.ok || ok && (n != tt.n || !due.Equal(at)) {
			t.Errorf("%q: %d, %s, %v; want %d, %v", tt.body, n, due, ok, tt.n, tt.ok)
		}
	}
}

func TestProc_countsChildren(t *testing.T) {
	root := t.TempDir()
	for _, p := range []struct {
		pid, parent int
		name        string
		ticks       string // utime stime cutime cstime
		rss         int
	}{
		{100, 1, "beam (smp) x", "10 20 3 4", 50},
		{101, 100, "helper", "1 1 0 0", 5},
		{102, 101, "below", "2 0 0 0", 1},
		{200, 1, "stranger", "1000 1000 0 0", 9999},
	} {
		dir := filepath.Join(root, strconv.Itoa(p.pid))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		stat := strconv.Itoa(p.pid) + " (" + p.name + ") S " + strconv.Itoa(p.parent) + " 1 1 0 -1 4194560 1 0 0 0 " + p.ticks + " 20 0 1 0 100"
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "status"), []byte("Name:\tx\nVmRSS:\t   "+strconv.Itoa(p.rss)+" kB\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u, err := (&Proc{pids: []int{100}, root: root}).Usage()
	if err != nil {
		t.Fatal(err)
	}
	if u.CPU != 410*time.Millisecond || u.RSS != 56*1024 {
		t.Errorf("CPU %s, RSS %d; want 410ms, %d", u.CPU, u.RSS, 56*1024)
	}
	if _, err := (&Proc{pids: []int{300}, root: root}).Usage(); err == nil {
		t.Error("a process that is not there has a usage")
	}
}

func TestOptions_refusals(t *testing.T) {
	good := Options{Addr: "127.0.0.1:5223", Domain: "a.test", TLS: TLSDirect, Users: "u%05d", Sessions: 10}
	tests := []struct {
		name   string
		change func(*Options)
		why    string // empty: accepted
	}{
		{"as it is", func(*Options) {}, ""},
		{"localhost", func(o *Options) { o.Addr = "localhost:1" }, ""},
		{"another loopback address", func(o *Options) { o.Addr = "127.9.9.9:1" }, ""},
		{"IPv6 loopback", func(o *Options) { o.Addr = "[::1]:1" }, ""},
		{"a private address", func(o *Options) { o.Addr = "192.168.1.1:5222" }, "loopback"},
		{"a name", func(o *Options) { o.Addr = "example.com:5222" }, "loopback"},
		{"a name that looks like loopback", func(o *Options) { o.Addr = "127.0.0.1.example.com:5222" }, "loopback"},
		{"every address", func(o *Options) { o.Addr = "0.0.0.0:5222" }, "loopback"},
		{"no host", func(o *Options) { o.Addr = ":5222" }, "loopback"},
		{"no port", func(o *Options) { o.Addr = "127.0.0.1" }, "host:port"},
		{"no number in the pattern", func(o *Options) { o.Users = "alice" }, "--user-pattern"},
		{"two numbers", func(o *Options) { o.Users = "u%d%d" }, "--user-pattern"},
		{"a string", func(o *Options) { o.Users = "u%s" }, "--user-pattern"},
		{"unknown TLS", func(o *Options) { o.TLS = "yes" }, "--tls"},
		{"no domain", func(o *Options) { o.Domain = "" }, "--domain"},
		{"too many sessions", func(o *Options) { o.Sessions = 1 << 20 }, "--sessions"},
		{"a negative rate", func(o *Options) { o.Rate = -1 }, "--rate"},
		{"for days", func(o *Options) { o.Length = 48 * time.Hour }, "--length"},
	}
	for _, tt := range tests {
		o := good
		tt.change(&o)
		err := o.check()
		if (err == nil) != (tt.why == "") || err != nil && !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.why)
		}
	}
}

func TestOptions_aWindowLeavesTheRateAlone(t *testing.T) {
	d := Options{Rate: 1000, Sessions: 5}
	o := Options{Window: 3}
	o.fill(d)
	if o.Rate != 0 || o.Sessions != 5 {
		t.Errorf("rate %d, sessions %d; want 0, 5", o.Rate, o.Sessions)
	}
	o = Options{}
	o.fill(d)
	if o.Rate != 1000 || o.TLS != TLSDirect {
		t.Errorf("rate %d, TLS %q; want 1000, direct", o.Rate, o.TLS)
	}
}

// RFC 7677 §3: the example exchange.
func TestScram_example(t *testing.T) {
	s := newScram("SCRAM-SHA-256", "pencil", &keyCache{})
	s.nonce = "rOprNGfwEbeRWgbNEkqO"
	if got := s.first("user"); got != "n,,n=user,r=rOprNGfwEbeRWgbNEkqO" {
		t.Errorf("first message %q", got)
	}
	got, err := s.final("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
	const want = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if err != nil || got != want {
		t.Errorf("final message %q, %v; want %q", got, err, want)
	}
	if err := s.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="); err != nil {
		t.Error(err)
	}
	if s.verify("v=AAAA") == nil {
		t.Error("a wrong server signature is accepted")
	}
	if _, err := s.final("r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"); err == nil {
		t.Error("a nonce that is not ours is accepted")
	}
}

func TestNick_table(t *testing.T) {
	for jid, want := range map[string]int{"room@host/n12": 12, "room@host/n0": 0, "room@host/x": -1, "room@host": -1, "": -1} {
		if got := nick([]byte(jid)); got != want {
			t.Errorf("%q: %d, want %d", jid, got, want)
		}
	}
}

func TestResult_oneLineOfJSON(t *testing.T) {
	r := &Result{Workload: "chat", Unit: "message", Units: 5, Latency: &Latency{P50: 1.5, P999: 2}, Notes: []string{"a"}}
	var b, table bytes.Buffer
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || bytes.Count(b.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("%v: %s", err, b.Bytes())
	}
	if l := back["latency_ms"].(map[string]any); l["p99.9"] != 2.0 || back["lost"] != 0.0 {
		t.Errorf("%s", b.Bytes())
	}
	if err := r.Table(&table); err != nil || !strings.Contains(table.String(), "lost / doubled / reordered") {
		t.Errorf("%v: %s", err, table.String())
	}
}
