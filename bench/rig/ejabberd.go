package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// ejabberd is a running ejabberd with accounts and rosters in SQL; archive is "",
// "SQLite" or "PostgreSQL". Mnesia holds sessions only, as ejabberd has it.
func ejabberd(ctx context.Context, p People, archive string) (*Server, error) {
	c := peerConfig{Archive: archive != ""}
	if archive == "PostgreSQL" {
		var err error
		if c.Postgres, err = freePort(); err != nil {
			return nil, err
		}
	}
	s, err := newPeer("ejabberd", "ejabberd.yml", c)
	if err != nil {
		return nil, err
	}
	s.Archive, s.Version = archive, packageVersion(ctx, "ejabberd")
	if err := s.startEjabberd(ctx, p, c.Postgres); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) startEjabberd(ctx context.Context, p People, port int) error {
	sql, err := ejabberdPeople(p)
	if err != nil {
		return err
	}
	if port != 0 {
		if err := s.postgres(ctx, port); err != nil {
			return err
		}
		err = s.load(ctx, sql, "pg.sql", "psql", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "bench", "postgres")
	} else {
		err = s.load(ctx, sql, "lite.sql", "sqlite3", "-bail", filepath.Join(s.Dir, "data", "ejabberd.db"))
	}
	if err != nil {
		return err
	}
	// The node has no name: nothing listens for other nodes, and no ejabberd of
	// the machine can be meant by mistake.
	cmd := exec.Command("erl", "-noinput", "+K", "true", "+P", "250000", "-mnesia", "dir", strconv.Quote(filepath.Join(s.Dir, "mnesia")), "-s", "ejabberd")
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "ERL_LIBS=/usr/lib/x86_64-linux-gnu", "ERL_MAX_PORTS=65536", "ERL_CRASH_DUMP="+filepath.Join(s.Dir, "crash"),
		"EJABBERD_CONFIG_PATH="+filepath.Join(s.Dir, "ejabberd.yml"), "EJABBERD_LOG_PATH="+filepath.Join(s.Dir, "ejabberd.log"), "HOME="+s.Dir)
	if err := s.spawn(cmd); err != nil {
		return err
	}
	return s.listens(ctx)
}

// load gives schema and people to a database's own client.
func (s *Server) load(ctx context.Context, sql []byte, schema, client string, args ...string) error {
	b, err := os.ReadFile(filepath.Join("/usr/share/ejabberd/sql", schema))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, client, args...)
	cmd.Stdin = bytes.NewReader(append(b, sql...))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("rig: %s: %w: %s", client, err, out[:min(len(out), 1000)])
	}
	return nil
}

// ejabberdPeople fills ejabberd's tables of accounts and rosters.
func ejabberdPeople(p People) ([]byte, error) {
	stored, server, err := scramKeys()
	if err != nil {
		return nil, err
	}
	b64 := base64.StdEncoding.EncodeToString
	var b bytes.Buffer
	b.WriteString("\nBEGIN;\n")
	for i := range p.N {
		fmt.Fprintf(&b, "INSERT INTO users (username, password, serverkey, salt, iterationcount) VALUES ('%s', '%s', '%s', '%s', %d);\n",
			person(i), b64(stored), b64(server), b64([]byte(salt)), rounds)
		for _, c := range p.ring(i) {
			fmt.Fprintf(&b, "INSERT INTO rosterusers (username, jid, nick, subscription, ask, askmessage, server, subscribe, type) VALUES ('%s', '%s@%s', '', 'B', 'N', '', 'N', '', 'item');\n",
				person(i), person(c), domain)
		}
	}
	b.WriteString("COMMIT;\n")
	return b.Bytes(), nil
}

// postgres starts a cluster of its own with its defaults: every commit is flushed.
func (s *Server) postgres(ctx context.Context, port int) error {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is valid
	if len(found) == 0 {
		return errors.New("rig: PostgreSQL is not installed")
	}
	bin, data := found[len(found)-1], filepath.Join(s.Dir, "data", "pg")
	attr, err := s.unprivileged(filepath.Dir(data))
	if err != nil {
		return err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = "/", attr()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("rig: initdb: %w: %s", err, out)
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "max_connections=100")
	cmd.Dir, cmd.SysProcAttr = "/", attr()
	if err := s.spawn(cmd); err != nil {
		return err
	}
	return s.await(ctx, func() bool {
		return exec.CommandContext(ctx, "psql", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "bench", "-c", "SELECT 1", "postgres").Run() == nil
	})
}

// unprivileged gives folders to whom PostgreSQL runs as: it refuses root.
func (s *Server) unprivileged(dir string) (func() *syscall.SysProcAttr, error) {
	none := func() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
	if os.Geteuid() != 0 {
		return none, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2, os.Chmod(s.Dir, 0o711), os.Chown(dir, int(uid), int(gid))); err != nil {
		return nil, err
	}
	return func() *syscall.SysProcAttr {
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}, nil
}
