package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPeerPage_ratiosToTheFirst(t *testing.T) {
	z := (&lab{scale: 1}).sizes(200)
	cols := []column{
		{title: "one", cells: map[string]cell{"chat": {"50 µs", 50}, "closed": {"10000/s", 10_000}, "room": {text: "not offered"}}},
		{title: "two", cells: map[string]cell{"chat": {"2000 µs", 2000}, "closed": {"400/s", 400}, "room": {"9 µs", 9}}},
	}
	page := peerPage(cols, z, "a remark")
	for _, want := range []string{
		"**a remark.**",
		"| | one | two |\n|---|---|---|\n",
		"| chat at 200/s, 100 sessions: server CPU per message | 50 µs | 2000 µs (40×) |",
		"messages/s | 10000/s | 400/s (1/25) |",
		"per delivery | not offered | 9 µs |",
		"| — going: server CPU per presence received | — | — |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	var keys []string
	for _, r := range z.rows() {
		if slices.Contains(keys, r.key) {
			t.Errorf("two lines of %s", r.key)
		}
		keys = append(keys, r.key)
	}
}

// The archive is what the columns differ in: each template must tell it apart.
func TestNewPeer_configurations(t *testing.T) {
	tests := []struct {
		file     string
		c        peerConfig
		has, not string
	}{
		{"ejabberd.yml", peerConfig{Archive: true}, "mod_mam:", "pgsql"},
		{"ejabberd.yml", peerConfig{Archive: true, Postgres: 1234}, "sql_port: 1234", "sqlite"},
		{"ejabberd.yml", peerConfig{}, "sql_type: sqlite", "mod_mam"},
		{"prosody.cfg.lua", peerConfig{Archive: true, SQL: true}, `driver = "SQLite3"`, "{{"},
		{"prosody.cfg.lua", peerConfig{Archive: true}, `"mam"`, "SQLite3"},
		{"prosody.cfg.lua", peerConfig{}, `"smacks"`, `"mam"`},
	}
	for _, tt := range tests {
		s, err := newPeer("peer", tt.file, tt.c)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(s.Dir, tt.file))
		if err != nil || !bytes.Contains(b, []byte(tt.has)) || bytes.Contains(b, []byte(tt.not)) || !bytes.Contains(b, []byte(domain)) {
			t.Errorf("%s %+v: %v, want %q, not %q:\n%s", tt.file, tt.c, err, tt.has, tt.not, b)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
			t.Errorf("the folder is left: %v", err)
		}
	}
}

func TestRing_isMutual(t *testing.T) {
	p := People{N: 11, Contacts: 4}
	for i := range p.N {
		if n := len(p.ring(i)); n != 4 {
			t.Errorf("%d has %d contacts", i, n)
		}
		for _, c := range p.ring(i) {
			if c == i || !slices.Contains(p.ring(c), i) {
				t.Errorf("%d has %d, who does not have them", i, c)
			}
		}
	}
	sql, err := ejabberdPeople(p)
	if err != nil || bytes.Count(sql, []byte("INTO users")) != 11 || bytes.Count(sql, []byte("INTO rosterusers")) != 44 {
		t.Errorf("%v: %s", err, sql)
	}
}
