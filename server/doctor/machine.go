package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parlance-im/parlance/server"
	"github.com/parlance-im/parlance/store"
)

// data looks at the folder that keeps everything: is it there, is it ours, has it room, is its disk quick.
func (e *exam) data() {
	dir := e.cfg.Data
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		e.add("data", Good, "", "%s is not there yet: the server makes it", dir)
		dir = existing(dir)
	case err != nil:
		e.add("data", Bad, "give the server's user access to it", "%v", err)
		return
	case !st.IsDir():
		e.add("data", Bad, "set data to a folder", "%s is not a folder", dir)
		return
	case st.Mode().Perm()&0o077 != 0:
		e.add("data", Warn, "chmod 700 "+dir, "other users of this machine can look into %s (mode %04o)", dir, st.Mode().Perm())
	}
	e.room(dir)
	if err == nil {
		e.flush(dir)
	}
}

// existing is the nearest folder above dir that is there.
func existing(dir string) string {
	for {
		up := filepath.Dir(dir)
		if _, err := os.Stat(up); err == nil || up == dir {
			return up
		}
		dir = up
	}
}

func (e *exam) room(dir string) {
	free, total, err := e.Disk(dir)
	if err != nil {
		e.add("disk", Warn, "", "can't tell the free space of %s: %v", dir, err)
		return
	}
	text := fmt.Sprintf("%s of %s free", human(free), human(total))
	switch {
	case free < 64<<20:
		e.add("disk", Bad, "make room: the server refuses messages when the disk is full", "%s", text)
	case free < 1<<30 || total > 0 && free < total/10:
		e.add("disk", Warn, "make room soon, or move data to a larger disk", "%s", text)
	default:
		e.add("disk", Good, "", "%s", text)
	}
}

// flush measures what every acknowledged message waits for: one flush to disk.
func (e *exam) flush(dir string) {
	const rounds = 20
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		e.add("disk", Bad, "give the server's user the right to write there", "%v", err)
		return
	}
	defer func() { _, _ = f.Close(), os.Remove(f.Name()) }() // a file of ours without worth
	page := make([]byte, 4096)
	var took []time.Duration
	for range rounds {
		if _, err := f.Write(page); err != nil {
			e.add("disk", Bad, "check the disk", "writing failed: %v", err)
			return
		}
		begin := time.Now()
		if err := f.Sync(); err != nil {
			e.add("disk", Bad, "check the disk: the server stops at once when a flush fails", "a flush failed: %v", err)
			return
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	median, worst := took[rounds/2], took[rounds-1]
	text := fmt.Sprintf("a flush takes %s (median of %d), %s at worst", round(median), rounds, round(worst))
	if median > 20*time.Millisecond {
		e.add("disk", Warn, "every message waits for a flush: use a faster disk", "%s", text)
		return
	}
	e.add("disk", Good, "", "%s", text)
}

func (e *exam) storage(ctx context.Context) {
	dsn := e.cfg.DSN()
	file, isFile := strings.CutPrefix(dsn, "sqlite:")
	if isFile {
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			e.add("storage", Good, "", "SQLite, %s is not there yet: the server makes it", file)
			return
		}
		if e.running {
			e.add("storage", Good, "", "SQLite, %s is in use by the running server", file)
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	db, err := store.Open(ctx, store.Options{DSN: dsn, Aside: true})
	if err != nil {
		e.add("storage", Bad, "check storage.dsn, and that the database is up and lets this user in", "%s: %v", hidden(dsn), err)
		return
	}
	size, err := db.Size(ctx)
	version := db.Version()
	if err = errors.Join(err, db.Close()); err != nil {
		e.add("storage", Bad, "look at the database's own log", "%s: %v", hidden(dsn), err)
		return
	}
	e.add("storage", Good, "", "%s, %s in %s", version, human(uint64(max(size, 0))), hidden(dsn))
}

// hidden is a connection string without its password: the table may end up in a report.
func hidden(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		scheme, _, _ := strings.Cut(dsn, ":")
		return scheme + ":…"
	}
	if q := u.Query(); q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// limits compares the machine's limit of open files with what is configured.
func (e *exam) limits() {
	n, err := e.OpenFiles()
	if err != nil {
		e.add("limits", Warn, "", "can't tell the limit of open files: %v", err)
		return
	}
	// The rest is for the database, listeners, files and logs.
	const own = 256
	connections := int64(n) - own
	text := fmt.Sprintf("%d open files allowed: room for about %d connections", n, max(connections, 0))
	do := "raise it for the server's user: LimitNOFILE=1048576 in the service's unit, or nofile in /etc/security/limits.conf"
	switch want := int64(e.cfg.Limits.PreAuthConnections); {
	case connections < 256:
		e.add("limits", Bad, do, "%s", text)
	case connections < want:
		e.add("limits", Warn, do, "%s, fewer than limits.pre_auth_connections (%d) alone", text, want)
	default:
		e.add("limits", Good, "", "%s", text)
	}
	l := e.cfg.Limits
	if mem := l.UnackedBytes.Bytes() * int64(l.HibernatingSessions); mem > int64(64*server.MiB) {
		e.add("limits", Warn, "lower limits.unacked_bytes or limits.hibernating_sessions", "one account may hold %s while its devices are away", human(uint64(mem)))
	}
}

// clock: message order does not depend on it, but time stamps, certificates and tokens do.
func (e *exam) clock() {
	now := e.Now()
	const first = 2026 // this program is not older
	if now.Year() < first {
		e.add("clock", Bad, "set the clock; install chrony or systemd-timesyncd", "this machine thinks it is %s", now.Format(time.RFC3339))
		return
	}
	kept, err := e.Synchronised()
	switch {
	case err != nil:
		e.add("clock", Warn, "", "can't tell whether the clock is synchronised: %v", err)
	case !kept:
		e.add("clock", Warn, "install chrony or systemd-timesyncd, unless the host keeps the time of this machine", "nothing synchronises the clock, it says %s", now.UTC().Format(time.RFC3339))
	default:
		e.add("clock", Good, "", "synchronised, it says %s", now.UTC().Format(time.RFC3339))
	}
}

func human(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

func round(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(100 * time.Microsecond)
}
