package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/edge"
)

// told is a watch in a folder of its own, and what it says.
func told(t *testing.T, ends time.Time) (*watch, *bytes.Buffer, *time.Time, *[2]uint64) {
	t.Helper()
	keys, err := edge.NewKeys(tls.Certificate{Certificate: [][]byte{{}}, PrivateKey: 1, Leaf: &x509.Certificate{NotAfter: ends}})
	if err != nil {
		t.Fatal(err)
	}
	out, now, space := new(bytes.Buffer), new(time.Time), &[2]uint64{900 << 30, 1000 << 30}
	return &watch{dir: t.TempDir(), keys: keys, log: slog.New(slog.NewTextHandler(out, nil)),
		now:   func() time.Time { return *now },
		space: func(string) (uint64, uint64, error) { return space[0], space[1], nil }}, out, now, space
}

// HARDENING F27: alarms 30, 7 and 1 days before the end, each once, and again for another certificate.
func TestWatch_certificate(t *testing.T) {
	ends := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	w, out, now, _ := told(t, ends)
	for _, step := range []struct {
		left time.Duration
		says string
	}{{60, ""}, {30, "level=WARN"}, {29, ""}, {8, ""}, {7, "level=ERROR"}, {2, ""}, {1, "level=ERROR"}, {0, "has ended"}, {-3, ""}} {
		*now = ends.Add(-step.left * 24 * time.Hour)
		out.Reset()
		w.certificate()
		if step.says == "" && out.Len() > 0 || !strings.Contains(out.String(), step.says) {
			t.Errorf("%d days before: %q, due %q", step.left, out, step.says)
		}
	}
	*now = ends
	if err := w.keys.Set(tls.Certificate{Certificate: [][]byte{{}}, PrivateKey: 1, Leaf: &x509.Certificate{NotAfter: ends.Add(5 * 24 * time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if w.certificate(); !strings.Contains(out.String(), "ends soon") {
		t.Errorf("the next certificate: %q", out)
	}
}

// HARDENING F5: alarms at 80 and 90 %, and a reserve that is given back at the end.
func TestWatch_disk(t *testing.T) {
	w, out, _, space := told(t, time.Now())
	file := filepath.Join(w.dir, reserveFile)
	for _, step := range []struct {
		free    uint64
		says    string
		reserve bool
	}{
		{900 << 30, "", true}, {200 << 30, "level=WARN", true}, {190 << 30, "", true}, {100 << 30, "level=ERROR", true},
		{63 << 20, "reserve was given back", false}, {100 << 20, "", false}, {900 << 30, "room again", true},
	} {
		space[0] = step.free
		out.Reset()
		w.disk()
		if step.says == "" && out.Len() > 0 || !strings.Contains(out.String(), step.says) {
			t.Errorf("%d free: %q, due %q", step.free, out, step.says)
		}
		if fi, err := os.Stat(file); (err == nil) != step.reserve || err == nil && fi.Size() != reserveSize {
			t.Errorf("%d free: reserve there: %v, due %v", step.free, err == nil, step.reserve)
		}
	}
}
