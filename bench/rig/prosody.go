package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// prosody is a running Prosody with accounts and rosters; archive is "", "SQLite" or "internal".
func prosody(ctx context.Context, p People, archive string) (*Server, error) {
	s, err := newPeer("Prosody", "prosody.cfg.lua", peerConfig{Archive: archive != "", SQL: archive == "SQLite"})
	if err != nil {
		return nil, err
	}
	s.Archive, s.Version = archive, packageVersion(ctx, "prosody")
	err = s.prosodyPeople(p)
	if err == nil {
		err = s.spawn(exec.Command("prosody", "--config", filepath.Join(s.Dir, "prosody.cfg.lua"), "-F"))
	}
	if err == nil {
		err = s.listens(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// prosodyPeople writes Prosody's own files of accounts and rosters.
func (s *Server) prosodyPeople(p People) error {
	host := filepath.Join(s.Dir, "data", strings.ReplaceAll(domain, ".", "%2e"))
	for _, d := range []string{"accounts", "roster"} {
		if err := os.MkdirAll(filepath.Join(host, d), 0o700); err != nil {
			return err
		}
	}
	stored, server, err := scramKeys()
	if err != nil {
		return err
	}
	account := fmt.Sprintf("return { stored_key = %q; server_key = %q; salt = %q; iteration_count = %d; };\n",
		hex.EncodeToString(stored), hex.EncodeToString(server), salt, rounds)
	for i := range p.N {
		if err := os.WriteFile(filepath.Join(host, "accounts", person(i)+".dat"), []byte(account), 0o600); err != nil {
			return err
		}
		var b strings.Builder
		b.WriteString("return { [false] = { version = 1; };\n")
		for _, c := range p.ring(i) {
			fmt.Fprintf(&b, "[\"%s@%s\"] = { subscription = \"both\"; groups = {}; };\n", person(c), domain)
		}
		b.WriteString("};\n")
		if err := os.WriteFile(filepath.Join(host, "roster", person(i)+".dat"), []byte(b.String()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// packageVersion is that of an installed Debian package.
func packageVersion(ctx context.Context, name string) string {
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", name).Output()
	if err != nil {
		return "unknown version"
	}
	return string(out)
}
