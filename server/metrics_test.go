package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// measured is a sample company whose metrics are on a port.
func measured(t *testing.T, dir string) *running {
	t.Helper()
	return run(t, dir, func(ctx context.Context, out io.Writer) error {
		cfg := Default()
		cfg.Domain, cfg.Data = "acme.test", dir
		any := []string{"127.0.0.1:0"}
		cfg.Listen.C2S, cfg.Listen.C2STLS, cfg.Listen.HTTPS, cfg.Listen.Metrics = any, any, any, any
		ac := accountConfig(cfg)
		ac.AnyPassword = true
		return serve(ctx, cfg, Options{Version: "test", Out: out, Log: slog.New(slog.DiscardHandler)}, ac, sampleCompany)
	})
}

// scrape reads every sample of ours.
func (r *running) scrape(tr *http.Transport, url string) map[string]float64 {
	r.t.Helper()
	client := &http.Client{Transport: tr, Timeout: soon}
	defer tr.CloseIdleConnections()
	res, err := client.Get(url)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		r.t.Fatalf("GET %s: %s %v", url, res.Status, err)
	}
	out := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^parlance_(\S+) (\S+)$`).FindAllStringSubmatch(string(body), -1) {
		if out[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			r.t.Error(err)
		}
	}
	return out
}

func TestMetrics_followWhatIsDone(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	r := measured(t, dir)
	url := "http://" + r.wait(`listening metrics (\S+)`) + "/metrics"
	before := r.scrape(&http.Transport{}, url)
	alice, bob := r.login("alice", "acme.test", "parlance"), r.login("bob", "acme.test", "parlance")
	if _, err := r.tryLogin("carol", "acme.test", "wrong"); err == nil {
		t.Fatal("logged in with a wrong password")
	}
	bob.say("<presence/>"+pong, "id='p'")
	alice.say(message("bob@acme.test", "one")+message("bob@acme.test", "two")+message("nobody@acme.test", "three")+
		message("acme.test", "four")+pong, "id='p'")
	bob.say("", "two</body>")
	// The answer says that bob's session has been written to, and that it was counted.
	bob.say(pong, "id='p'")
	after := r.scrape(&http.Transport{}, url)
	for name, want := range map[string]float64{
		`stanzas_total{kind="message",verb="accept"}`:                 4,
		`stanzas_total{kind="message",verb="judge"}`:                  4,
		`stanzas_total{kind="message",verb="plan"}`:                   2,
		`stanzas_total{kind="message",verb="commit"}`:                 2,
		`stanzas_total{kind="message",verb="fanout"}`:                 2,
		`refusals_total{condition="service-unavailable",verb="plan"}`: 2,
		`delivery_seconds_count`:                                      2,
		`commit_messages_sum`:                                         2,
		`logins_total{mechanism="PLAIN",result="success"}`:            2,
		`logins_total{mechanism="PLAIN",result="not-authorized"}`:     1,
		`accounts_online`:                                             2,
		`sessions{state="connected"}`:                                 2,
		`archive_position`:                                            2,
		`commit_failures_total`:                                       0,
		`queue_overflows_total`:                                       0,
		`store_poisoned`:                                              0,
		`connections{edge="websocket"}`:                               0,
		`stanzas_total{kind="presence",verb="accept"}`:                1,
		`stanzas_total{kind="iq",verb="accept"}`:                      3,
	} {
		if got := after[name] - before[name]; got != want {
			t.Errorf("%s grew by %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{`received_bytes_total{listener="c2s-tls"}`, `sent_bytes_total{listener="c2s-tls"}`, `store_flush_seconds_count`,
		`commit_wait_seconds_count`, `queued_stanzas_total`, `stanzas_total{kind="message",verb="write"}`, `stanzas_total{kind="iq",verb="write"}`} {
		if after[name] <= before[name] {
			t.Errorf("%s did not grow: %v", name, after[name])
		}
	}
	for _, name := range []string{`store_bytes`, `disk_free_bytes`, `disk_size_bytes`, `certificate_expiry_timestamp_seconds`, `connections_open`} {
		if after[name] <= 0 {
			t.Errorf("%s is %v", name, after[name])
		}
	}
	onSocket := r.scrape(&http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "admin.sock"))
	}}, "http://admin/metrics")
	if len(onSocket) < len(after) {
		t.Errorf("%d samples on the admin socket, %d on the port", len(onSocket), len(after))
	}
	alice.bye()
	bob.bye()
	r.stop()
}
