package doctor

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
)

var today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// well is a world in which nothing is wrong.
func well() World {
	return World{
		Now: func() time.Time { return today },
		LookupSRV: func(_ context.Context, service, _, _ string) (string, []*net.SRV, error) {
			port := map[string]uint16{"xmpp-client": 5222, "xmpps-client": 5223}[service]
			return "", []*net.SRV{{Target: "im.acme.com.", Port: port}}, nil
		},
		LookupHost:   func(context.Context, string) ([]string, error) { return []string{"192.0.2.1"}, nil },
		OpenFiles:    func() (uint64, error) { return 1 << 20, nil },
		Disk:         func(string) (uint64, uint64, error) { return 100 << 30, 200 << 30, nil },
		Synchronised: func() (bool, error) { return true, nil },
		Timeout:      10 * time.Second,
	}
}

// place is a folder with a configuration for acme.com and a certificate.
type place struct {
	dir, file string
}

func newPlace(t *testing.T, more string) place {
	t.Helper()
	p := place{dir: t.TempDir()}
	p.file = filepath.Join(p.dir, "parlance.toml")
	data := filepath.Join(p.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "domain = 'acme.com'\ndata = 'data'\n" + more + "\n[tls]\ncert = 'cert.pem'\nkey = 'key.pem'\n"
	if !strings.Contains(more, "[listen]") {
		text += "[listen]\nc2s = []\nc2s_tls = []\nhttps = ['127.0.0.1:0']\n"
	}
	write(t, p.file, []byte(text))
	p.certificate(t, "acme.com", today.AddDate(0, -1, 0), today.AddDate(0, 3, 0))
	return p
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p place) certificate(t *testing.T, name string, from, to time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, filepath.Join(p.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// has says whether a finding of that check and state contains all the texts.
func has(list []Finding, check string, s State, texts ...string) bool {
	for _, f := range list {
		all := f.Check == check && f.State == s
		for _, text := range texts {
			all = all && strings.Contains(f.Found+"\n"+f.Do, text)
		}
		if all {
			return true
		}
	}
	return false
}

func table(list []Finding) string {
	var b bytes.Buffer
	if err := Write(&b, list); err != nil {
		return err.Error()
	}
	return b.String()
}

func TestDoctor_nothingBad(t *testing.T) {
	list := Examine(t.Context(), well(), newPlace(t, "").file)
	if Worst(list) == Bad {
		t.Errorf("something is bad:\n%s", table(list))
	}
	for _, check := range []string{"config", "certificate", "listen", "disk", "storage", "limits", "clock"} {
		if !has(list, check, Good) {
			t.Errorf("nothing good about %s:\n%s", check, table(list))
		}
	}
	// A certificate of an own authority is no mistake, but worth a word.
	if !has(list, "certificate", Warn, "authority that this machine trusts") {
		t.Errorf("the unknown authority is not mentioned:\n%s", table(list))
	}
}

func TestDoctor_findings(t *testing.T) {
	day := 24 * time.Hour
	listen := "[listen]\nc2s = ['127.0.0.1:5222']\nc2s_tls = ['127.0.0.1:5223']\nhttps = []\n"
	tests := []struct {
		name  string
		more  string // of the configuration
		set   func(*testing.T, place, *World)
		check string
		state State
		texts []string
	}{
		{name: "configuration with problems", more: "nmae = 'x'", check: "config", state: Bad, texts: []string{`nearest known key is "name"`}},
		{
			name: "certificate for another name", check: "certificate", state: Bad, texts: []string{"for other.com, not for acme.com"},
			set: func(t *testing.T, p place, _ *World) {
				p.certificate(t, "other.com", today.Add(-day), today.Add(99*day))
			},
		},
		{
			name: "certificate has ended", check: "certificate", state: Bad, texts: []string{"ended on 22 November 2026", "SIGHUP"},
			set: func(t *testing.T, p place, _ *World) {
				p.certificate(t, "acme.com", today.Add(-9*day), today.Add(-day))
			},
		},
		{
			name: "certificate ends soon", check: "certificate", state: Warn, texts: []string{"in 5 days"},
			set: func(t *testing.T, p place, _ *World) {
				p.certificate(t, "acme.com", today.Add(-9*day), today.Add(5*day))
			},
		},
		{
			name: "certificate not valid yet", check: "certificate", state: Bad, texts: []string{"from 24 November 2026"},
			set: func(t *testing.T, p place, _ *World) { p.certificate(t, "acme.com", today.Add(day), today.Add(99*day)) },
		},
		{
			name: "key of another certificate", check: "certificate", state: Bad, texts: []string{"private key"},
			set: func(t *testing.T, p place, _ *World) {
				old, err := os.ReadFile(filepath.Join(p.dir, "cert.pem"))
				if err != nil {
					t.Fatal(err)
				}
				p.certificate(t, "acme.com", today, today.Add(99*day))
				write(t, filepath.Join(p.dir, "cert.pem"), old)
			},
		},
		{
			name: "key that everyone can read", check: "certificate", state: Bad, texts: []string{"chmod 600"},
			set: func(t *testing.T, p place, _ *World) {
				if err := os.Chmod(filepath.Join(p.dir, "key.pem"), 0o644); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "no record", more: listen, check: "dns", state: Warn, texts: []string{"_xmpps-client._tcp.acme.com. 3600 IN SRV 5 0 5223 HOST."},
			set: func(_ *testing.T, _ place, w *World) {
				w.LookupSRV = func(context.Context, string, string, string) (string, []*net.SRV, error) {
					return "", nil, &net.DNSError{IsNotFound: true}
				}
			},
		},
		{
			name: "offline", more: listen, check: "dns", state: Warn, texts: []string{"no answer", "if this machine has no DNS"},
			set: func(_ *testing.T, _ place, w *World) {
				w.LookupSRV = func(context.Context, string, string, string) (string, []*net.SRV, error) {
					return "", nil, &net.DNSError{Err: "connection refused"}
				}
			},
		},
		{
			name: "record with another port", more: strings.Replace(listen, "5222", "6222", 1), check: "dns", state: Warn, texts: []string{"leads to port 5222", "[6222]"},
		},
		{
			name: "record that leads nowhere", more: listen, check: "dns", state: Bad, texts: []string{"im.acme.com, which has no address"},
			set: func(_ *testing.T, _ place, w *World) {
				w.LookupHost = func(context.Context, string) ([]string, error) { return nil, &net.DNSError{IsNotFound: true} }
			},
		},
		{name: "records are right", more: listen, check: "dns", state: Good, texts: []string{"_xmpp-client._tcp leads to port 5222 of im.acme.com"}},
		{
			name: "folder open to others", check: "data", state: Warn, texts: []string{"chmod 700"},
			set: func(t *testing.T, p place, _ *World) {
				if err := os.Chmod(filepath.Join(p.dir, "data"), 0o755); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "disk nearly full", check: "disk", state: Warn, texts: []string{"512.0 MiB of"},
			set: func(_ *testing.T, _ place, w *World) {
				w.Disk = func(string) (uint64, uint64, error) { return 512 << 20, 200 << 30, nil }
			},
		},
		{
			name: "disk full", check: "disk", state: Bad, texts: []string{"make room"},
			set: func(_ *testing.T, _ place, w *World) {
				w.Disk = func(string) (uint64, uint64, error) { return 1 << 20, 200 << 30, nil }
			},
		},
		{
			name: "few open files", check: "limits", state: Warn, texts: []string{"room for about 3840 connections", "LimitNOFILE"},
			set: func(_ *testing.T, _ place, w *World) { w.OpenFiles = func() (uint64, error) { return 4096, nil } },
		},
		{
			name: "hardly any open files", check: "limits", state: Bad,
			set: func(_ *testing.T, _ place, w *World) { w.OpenFiles = func() (uint64, error) { return 256, nil } },
		},
		{
			name: "clock not kept", check: "clock", state: Warn, texts: []string{"chrony"},
			set: func(_ *testing.T, _ place, w *World) { w.Synchronised = func() (bool, error) { return false, nil } },
		},
		{
			name: "clock of 1970", check: "clock", state: Bad,
			set: func(_ *testing.T, _ place, w *World) { w.Now = func() time.Time { return time.Unix(0, 0) } },
		},
		{
			name: "a machine that can't tell", check: "clock", state: Warn, texts: []string{"can't tell"},
			set: func(_ *testing.T, _ place, w *World) {
				w.Synchronised = func() (bool, error) { return false, errors.ErrUnsupported }
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, w := newPlace(t, tt.more), well()
			if tt.set != nil {
				tt.set(t, p, &w)
			}
			list := Examine(t.Context(), w, p.file)
			if !has(list, tt.check, tt.state, tt.texts...) {
				t.Errorf("no finding %s %s %q in:\n%s", tt.check, tt.state, tt.texts, table(list))
			}
		})
	}
}

func TestDoctor_busyPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := newPlace(t, fmt.Sprintf("[listen]\nc2s = []\nc2s_tls = []\nhttps = ['%s']\n", ln.Addr()))
	list := Examine(t.Context(), well(), p.file)
	if !has(list, "listen", Bad, "in use by another program", "listen.https") {
		t.Errorf("the busy port was not found:\n%s", table(list))
	}
}

func TestDoctor_besideARunningServer(t *testing.T) {
	p := newPlace(t, "")
	write(t, filepath.Join(p.dir, "data", "parlance.db"), nil)
	ln, err := net.Listen("unix", filepath.Join(p.dir, "data", "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	list := Examine(t.Context(), well(), p.file)
	if !has(list, "listen", Good, "a server is running") || !has(list, "storage", Good, "in use by the running server") {
		t.Errorf("the running server was not seen:\n%s", table(list))
	}
}

func TestDoctor_existingDataSet(t *testing.T) {
	p := newPlace(t, "")
	db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + filepath.Join(p.dir, "data", "parlance.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	list := Examine(t.Context(), well(), p.file)
	if !has(list, "storage", Good, "SQLite 3.") {
		t.Errorf("version not told:\n%s", table(list))
	}
}

func TestDoctor_databaseThatIsNotThere(t *testing.T) {
	p := newPlace(t, "storage = {dsn = 'postgres://parlance:secret@127.0.0.1:1/parlance?connect_timeout=2'}")
	w := well()
	w.Timeout = 3 * time.Second
	list := Examine(t.Context(), w, p.file)
	if !has(list, "storage", Bad, "storage.dsn") {
		t.Errorf("the missing database was not found:\n%s", table(list))
	}
	if strings.Contains(table(list), "secret") {
		t.Errorf("the table shows the password:\n%s", table(list))
	}
}

func TestHidden(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://u:secret@h/db":          "postgres://u:xxxxx@h/db",
		"postgres://h/db?password=secret":   "postgres://h/db?password=xxxxx",
		"sqlite:/var/lib/parlance/x.db":     "sqlite:/var/lib/parlance/x.db",
		"postgres://u:sec ret@h:bad port/x": "postgres:…",
	} {
		if got := hidden(in); got != want {
			t.Errorf("hidden(%q) = %q, want %q", in, got, want)
		}
	}
}
