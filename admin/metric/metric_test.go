package metric

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"github.com/parlance-im/parlance/im/meter"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write testdata/names.txt anew")

// sources have something to tell for every metric there is.
func sources() Sources {
	m := new(meter.Meter)
	m.Passed(meter.Write, stanza.IQ, 7)
	m.Passed(meter.Accept, stanza.Message, 3)
	m.Refuse(meter.Plan, stanza.Fail("service-unavailable", ""))
	m.Drop(meter.Judge)
	m.Logins.Add("SCRAM-SHA-256", "success")
	m.Committed(3, time.Now(), nil)
	m.Committed(2, time.Now(), errors.New("full"))
	m.Wait.Observe(3*time.Millisecond, 1)
	m.Deliver.Observe(12*time.Millisecond, 3)
	m.Stored(2, 4*time.Millisecond, 3*time.Millisecond)
	t := new(meter.Traffic)
	t.Out.Add(1000)
	return Sources{Version: "1.2.3", Meter: m, Traffic: map[string]*meter.Traffic{"c2s": t}, State: func() State {
		return State{Accounts: 11, Connected: 12, Hibernating: 13, TCP: 14, WebSocket: 15, StoreBytes: 16, DiskFree: 17, DiskSize: 18,
			Poisoned: true, Certificate: time.Unix(1900000000, 0)}
	}}
}

func page(t *testing.T, src Sources) string {
	t.Helper()
	p, err := New(src)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestPage_tellsWhatWasCounted(t *testing.T) {
	text := page(t, sources())
	for _, line := range []string{
		`parlance_info{version="1.2.3"} 1`,
		`parlance_stanzas_total{kind="message",verb="accept"} 3`,
		`parlance_stanzas_total{kind="message",verb="commit"} 3`,
		`parlance_stanzas_total{kind="iq",verb="write"} 7`,
		`parlance_refusals_total{condition="service-unavailable",verb="plan"} 1`,
		`parlance_refusals_total{condition="dropped",verb="judge"} 1`,
		`parlance_commit_failures_total 2`,
		`parlance_delivery_seconds_bucket{le="0.01"} 0`,
		`parlance_delivery_seconds_bucket{le="0.015"} 3`,
		`parlance_delivery_seconds_bucket{le="+Inf"} 3`,
		`parlance_delivery_seconds_sum 0.036`,
		`parlance_commit_messages_bucket{le="4"} 1`,
		`parlance_logins_total{mechanism="SCRAM-SHA-256",result="success"} 1`,
		`parlance_sessions{state="hibernating"} 13`,
		`parlance_connections{edge="websocket"} 15`,
		`parlance_sent_bytes_total{listener="c2s"} 1000`,
		`parlance_disk_free_bytes 17`,
		`parlance_store_poisoned 1`,
		`parlance_certificate_expiry_timestamp_seconds 1.9e+09`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// What is not known is left out: 0 bytes free would wake somebody up.
func TestPage_leavesOutWhatIsNotKnown(t *testing.T) {
	src := sources()
	src.State = func() State { return State{StoreBytes: -1, DiskFree: -1, DiskSize: -1} }
	for line := range strings.Lines(page(t, src)) {
		for _, name := range []string{"store_bytes", "disk_", "certificate_"} {
			if strings.HasPrefix(line, "parlance_"+name) {
				t.Error(line)
			}
		}
	}
}

func TestPage_followsPrometheusConventions(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(page(t, sources()))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "parlance_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// Dashboards and alerts out there depend on the names.
func TestPage_namesAreThoseListed(t *testing.T) {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(page(t, sources()), -1) {
		names = append(names, m[1]+" "+m[2])
	}
	slices.Sort(names)
	got := strings.Join(names, "\n") + "\n"
	const file = "testdata/names.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, []byte(got)) {
		t.Errorf("%s lists other names (%v); if they are meant to change: go test ./admin/metric -update\n%s", file, err, got)
	}
}

func TestServe_onlyMetricsAndSoManyConnections(t *testing.T) {
	p, err := New(sources())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, ln) }()
	tr := &http.Transport{}
	client := &http.Client{Transport: tr, Timeout: 30 * time.Second}
	for path, want := range map[string]int{"/metrics": 200, "/": 404, "/debug/pprof/": 404, "/metrics/x": 404} {
		res, err := client.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", path, res.StatusCode, want)
		}
	}
	tr.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// pipes is a listener that always has one more connection.
type pipes struct{ net.Listener }

func (pipes) Accept() (net.Conn, error) {
	a, _ := net.Pipe()
	return a, nil
}
func (pipes) Close() error { return nil }

func TestBounded_placesComeFreeAgain(t *testing.T) {
	b := &bounded{Listener: pipes{}, free: make(chan struct{}, 2), closed: make(chan struct{})}
	first, _ := b.Accept()
	if _, err := b.Accept(); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	accept := func() { _, err := b.Accept(); got <- err }
	go accept()
	select {
	case <-got:
		t.Fatal("three connections where two may be")
	default:
	}
	_ = first.Close()
	_ = first.Close() // once more frees nothing
	if err := <-got; err != nil {
		t.Error(err)
	}
	if len(b.free) != 2 {
		t.Errorf("%d places taken", len(b.free))
	}
	go accept()
	_ = b.Close()
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
