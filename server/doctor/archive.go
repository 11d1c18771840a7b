package doctor

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/store"
)

// shownProblems is how many bad records are named; all are counted.
const shownProblems = 10

// archive reads the whole archive: the structure of the file and every record's seal (HARDENING F23).
func (e *exam) archive(ctx context.Context) {
	dsn := e.cfg.DSN()
	file, isFile := strings.CutPrefix(dsn, "sqlite:")
	if _, err := os.Stat(file); isFile && errors.Is(err, os.ErrNotExist) {
		return // storage has said so
	}
	if e.running && isFile {
		e.add("archive", Warn, "stop the server, or check a copy of its folder", "it is in use by the running server and was not read")
		return
	}
	db, err := store.Open(ctx, store.Options{DSN: dsn, Aside: true})
	if err != nil {
		return // storage has said so
	}
	const restore = "keep a copy of the folder; restore a backup, or see what it has of these records"
	var named []string
	bad := 0
	err = db.CheckStructure()
	if err == nil {
		e.end(ctx, db, dsn)
		var n, erased int64
		n, erased, err = archive.Verify(ctx, db, func(p archive.Problem) {
			if bad++; bad <= shownProblems {
				named = append(named, p.String())
			}
		})
		if err == nil && bad == 0 {
			e.add("archive", Good, "", "%d records, every seal fits (%d erased ones have no content to check)", n, erased)
		}
	}
	if bad > 0 {
		e.add("archive", Bad, restore, "%d problems:\n%s", bad, strings.Join(named, "\n"))
	}
	if err = errors.Join(err, db.Close()); err != nil {
		e.add("archive", Bad, restore, "%v", err)
	}
}

// end compares the archive's end with the witness, and tells of what was lost before.
func (e *exam) end(ctx context.Context, db *store.DB, dsn string) {
	w, err := archive.LookWitness(e.cfg.Witness())
	if err == nil {
		name, isFile := strings.CutPrefix(dsn, "sqlite:")
		if !isFile {
			name = "the database of storage.dsn"
		}
		err = w.Check(ctx, db, name)
	}
	if err != nil {
		e.add("archive", Bad, "keep a copy of the folder first", "%v", err)
		return
	}
	losses, err := archive.Losses(ctx, db)
	if err != nil {
		return // an older data set: the server makes the table
	}
	for _, l := range losses {
		e.add("archive", Warn, "", "%v were lost; that was accepted on %s", l, l.At.Format("2 January 2006"))
	}
}
