package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/parlance-im/parlance/edge"
)

const (
	watchEvery  = time.Minute
	reserveFile = "reserve"
	reserveSize = 16 << 20
	// The reserve is given back when less than this is free, so that what is under way can be
	// finished and an operator can work; it is made again when there is twice as much and more.
	reserveAt = 64 << 20
)

// watch tells the log what an operator must do in time: renew the certificate, make
// room. Each step is told once. Its fields belong to the goroutine of run.
type watch struct {
	dir   string
	keys  *edge.Keys
	space func(dir string) (free, total uint64, err error)
	now   func() time.Time
	log   *slog.Logger

	days int       // the certificate step told last; 0: none
	ends time.Time // of the certificate it was told for
	full int       // percent step told last
}

func (w *watch) run(ctx context.Context) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		w.certificate()
		w.disk()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// certificate warns 30, 7 and 1 days before the end, and at the end (HARDENING F27).
func (w *watch) certificate() {
	ends := w.keys.Leaf().NotAfter
	if !ends.Equal(w.ends) {
		w.ends, w.days = ends, 1<<30
	}
	left, step := ends.Sub(w.now()), 1<<30
	for _, d := range []int{30, 7, 1, 0} {
		if left <= time.Duration(d)*24*time.Hour {
			step = d
		}
	}
	if step >= w.days {
		return
	}
	w.days = step
	level := slog.LevelWarn
	if step <= 7 {
		level = slog.LevelError
	}
	what := "server: the certificate ends soon: renew it, then SIGHUP"
	if step == 0 {
		what = "server: the certificate has ended: clients refuse it; renew it, then SIGHUP"
	}
	w.log.Log(context.Background(), level, what, "ends", ends.UTC().Format(time.DateTime), "days", int(left.Hours()/24))
}

// disk warns when 80 and 90 % are used, and keeps the reserve (HARDENING F5).
func (w *watch) disk() {
	free, total, err := w.space(w.dir)
	if err != nil || total == 0 {
		return // a system that can't tell: doctor says so
	}
	used, step := int(100-100*free/total), 0
	for _, p := range []int{80, 90} {
		if used >= p {
			step = p
		}
	}
	switch {
	case step > w.full && step == 90:
		w.log.Error("server: the disk is nearly full: make room; messages are refused when nothing is left", "used_percent", used, "free_mib", free>>20)
	case step > w.full:
		w.log.Warn("server: the disk fills up: make room", "used_percent", used, "free_mib", free>>20)
	case step < w.full:
		w.log.Info("server: the disk has room again", "used_percent", used, "free_mib", free>>20)
	}
	w.full = step
	w.reserve(free)
}

// reserve keeps a file whose room is given back when the disk is all but full.
func (w *watch) reserve(free uint64) {
	file := filepath.Join(w.dir, reserveFile)
	_, err := os.Stat(file)
	switch there := err == nil; {
	case there && free < reserveAt:
		if err := os.Remove(file); err == nil {
			w.log.Error("server: the reserve was given back: make room now", "freed_mib", reserveSize>>20)
		}
	case !there && errors.Is(err, fs.ErrNotExist) && free > 2*(reserveAt+reserveSize):
		if err := writeReserve(file); err != nil {
			w.log.Warn("server: no reserve on the disk", "err", errors.Join(err, os.Remove(file)))
		}
	}
}

// writeReserve writes real blocks: a hole would reserve nothing.
func writeReserve(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for n := 0; n < reserveSize && err == nil; n += len(block) {
		_, err = f.Write(block)
	}
	return errors.Join(err, f.Close())
}
