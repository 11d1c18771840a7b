package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/parlance-im/parlance/admin/api"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/store"
)

// RepairOptions are what the command line adds.
type RepairOptions struct {
	AcceptLoss bool // go on without what is missing at the log's end
	Out        io.Writer
	Log        *slog.Logger
}

// ErrNotWhole says that something is left that Repair could not mend; it was told.
var ErrNotWhole = errors.New("server: repair: the data set is not whole")

// Repair mends what can be mended of a stopped server's data set (HARDENING F23), and tells what it
// did and what it could not. It refuses while a server runs on the data set.
func Repair(ctx context.Context, cfg *Config, o RepairOptions) (err error) {
	client, err := api.Dial(ctx, cfg.AdminSocket())
	if err == nil {
		client.Close()
		return fmt.Errorf("server: repair: a server runs on %s: stop it first", cfg.Data)
	}
	if !errors.Is(err, api.ErrNoServer) {
		return err
	}
	if file, ok := strings.CutPrefix(cfg.DSN(), "sqlite:"); ok {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("server: repair: there is no data set: %w", err)
		}
	}
	db, err := store.Open(ctx, store.Options{DSN: cfg.DSN(), Log: o.Log, Broken: o.AcceptLoss})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r := repair{cfg: cfg, o: o, db: db}
	if err := db.CheckStructure(); err != nil {
		r.tell("the file's structure is broken, which this command can't mend: nothing was changed")
		return err
	}
	if err := db.Migrate(ctx, migrations()); err != nil {
		return err
	}
	lost, err := r.end(ctx)
	if err != nil {
		return err
	}
	if err := r.records(ctx); err != nil {
		return err
	}
	if lost || r.left {
		return ErrNotWhole
	}
	r.tell("the data set is in order")
	return nil
}

// repair is one run of the command.
type repair struct {
	cfg  *Config
	o    RepairOptions
	db   *store.DB
	left bool // something was found that nobody can mend
}

func (r *repair) tell(format string, args ...any) {
	_, _ = fmt.Fprintf(r.o.Out, format+"\n", args...) // where it goes is gone: nothing else to tell
}

// end compares the log's end with the witness.
func (r *repair) end(ctx context.Context) (lost bool, err error) {
	w, err := archive.OpenWitness(r.cfg.Witness())
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if w.Damaged() {
		r.tell("%s could not be read and was begun anew", w.Path())
	}
	err = w.Check(ctx, r.db, r.cfg.dataName())
	var le *archive.LostError
	switch {
	case err == nil:
		r.tell("the log reaches as far as was acknowledged")
		return false, nil
	case !errors.As(err, &le):
		return false, err
	case !r.o.AcceptLoss:
		r.tell("%v", le)
		return true, nil
	}
	loss, err := archive.AcceptLoss(ctx, r.db, w, le, time.Now())
	if err != nil {
		return false, err
	}
	r.tell("%s were acknowledged and are lost: accepted, and noted in the data set; their numbers are not given again", loss)
	r.o.Log.Warn("server: repair: the loss of acknowledged messages was accepted", "first", loss.First, "last", loss.Last)
	return false, nil
}

// records mends records and what finds them.
func (r *repair) records(ctx context.Context) error {
	is, err := archive.Repair(ctx, r.db, time.Now())
	if err != nil {
		return err
	}
	r.tell("%d records read", is.Records)
	for _, p := range is.Quarantined {
		r.tell("%v; what is left of it was moved to quarantine (table record_quarantine)", p)
	}
	for _, p := range is.Gaps {
		r.tell("%v: what was there before is gone, and can't be made again", p)
		r.left = true
	}
	if is.Removed+is.Added > 0 {
		r.tell("index: %d rows made again, %d of no record removed", is.Added, is.Removed)
	}
	return nil
}
