package store

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// walPages is how many pages (4 KiB each) the WAL gains before they are copied back: 32 MiB. Few large
// checkpoints write a page that changed often only once, and spare flushes; measured at 16 writers, 1,024
// pages cost three times the CPU per row. Reading that much WAL after a crash takes about 0.1 s.
const walPages = 8192

// walFinish is how many times walPages the WAL may reach under load before it is made to start anew: 128 MiB, 0.4 s to read after a crash. Starting anew
// holds the writer for two flushes and more (10 ms and more on a busy disk), which once a second would show in the slowest hundredth.
const walFinish = 4

// liteWriter is the writer's connection.
type liteWriter struct {
	*liteConn
	e *lite
}

// watchWAL has SQLite note the WAL's length after each commit. (This also replaces its automatic checkpoint.)
func (c *liteConn) watchWAL() {
	c.frames = libc.Xcalloc(c.tls, 1, libcSize(wordSize))
	sqlite3.Xsqlite3_wal_hook(c.tls, c.db, funcPointer(noteWAL), c.frames)
}

// noteWAL is SQLite's WAL hook: note is where the length goes.
func noteWAL(_ *libc.TLS, note, _, _ uintptr, frames int32) int32 {
	*(*int32)(address(note)) = frames
	return sqlite3.SQLITE_OK
}

// funcPointer gives a Go function, not a closure, the shape in which the translated C code passes functions.
func funcPointer[F any](f F) uintptr {
	return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f}))
}

func (w *liteWriter) commit() error {
	if err := w.liteConn.commit(); err != nil {
		return err
	}
	if k := w.e.ckpt; k != nil {
		k.note(*(*int32)(address(w.frames)))
	}
	return nil
}

// keepWAL says whether closing the last connection leaves the WAL alone instead of copying it back and removing it. Removing is
// right after a clean run and wrong after a failed flush, when the next process must see what is really on the disk: so every
// connection leaves it, but the checkpointer's at the end of a clean run.
func (c *liteConn) keepWAL(yes bool) {
	var on int32
	if yes {
		on = 1
	}
	args := libc.NewVaList(on, uintptr(0))
	defer libc.Xfree(c.tls, args)
	sqlite3.Xsqlite3_db_config(c.tls, c.db, sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, args)
}

// checkpoint copies pages from the WAL to the database and returns the WAL's pages and how many of them are copied.
func (c *liteConn) checkpoint(mode int32) (frames, copied int, err error) {
	out := c.out
	rc := sqlite3.Xsqlite3_wal_checkpoint_v2(c.tls, c.db, 0, mode, out, out+wordSize)
	if rc != sqlite3.SQLITE_OK {
		return 0, 0, c.fail(rc)
	}
	return int(*(*int32)(address(out))), int(*(*int32)(address(out + wordSize))), nil
}

// checkpointer is the goroutine that keeps the WAL short, on a connection of its own, so that no COMMIT waits for it.
type checkpointer struct {
	e       *lite
	w       *writer
	conn    *liteConn
	frames  atomic.Int32  // the WAL's length after the last commit
	commits atomic.Uint32 // to see that the writer is quiet
	due     int32         // length at which to start; owner: the writer's goroutine
	wake    chan struct{} // capacity 1
	quit    chan struct{}
	ended   chan struct{}
}

// startCheckpoint is called once, after the writer has started and before anybody writes.
func (e *lite) startCheckpoint(w *writer) {
	k := &checkpointer{e: e, w: w, due: e.o.walPages, wake: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	e.ckpt = k
	go k.run()
}

// note is called by the writer after each commit.
func (k *checkpointer) note(frames int32) {
	if before := k.frames.Swap(frames); frames < before {
		k.due = k.e.o.walPages // the WAL has started anew
	}
	k.commits.Add(1)
	if frames < k.due {
		return
	}
	k.due = frames + k.e.o.walPages
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *checkpointer) run() {
	defer close(k.ended)
	quiet := time.NewTicker(k.e.o.idle)
	defer quiet.Stop()
	var seen uint32
	for {
		select {
		case <-k.quit:
			return
		case <-k.wake:
			k.shorten()
		case <-quiet.C:
			if n := k.commits.Load(); n != seen {
				seen = n
			} else if k.frames.Load() > 0 && k.do(sqlite3.SQLITE_CHECKPOINT_TRUNCATE) == nil {
				k.frames.Store(0)
			}
		}
	}
}

// shorten copies the WAL back beside the writer. While the writer goes on, a checkpoint never reaches the
// WAL's end, and the WAL would grow for ever: so at a calm moment, or when it is long, the writer copies the few pages left
// between two transactions.
func (k *checkpointer) shorten() {
	if k.do(sqlite3.SQLITE_CHECKPOINT_PASSIVE) != nil {
		return
	}
	long := k.frames.Load() >= walFinish*k.e.o.walPages
	if long && k.do(sqlite3.SQLITE_CHECKPOINT_PASSIVE) != nil { // what came meanwhile: less is left for the writer
		return
	}
	done := make(chan struct{})
	finish := func(c writeConn) {
		defer close(done)
		if w, ok := c.(*liteWriter); ok && (long || k.w.calm()) {
			k.failed(w.checkpointErr())
		}
	}
	select {
	case k.w.control <- finish:
		<-done
	case <-k.w.ended:
	case <-k.quit:
	}
}

func (w *liteWriter) checkpointErr() error {
	_, _, err := w.checkpoint(sqlite3.SQLITE_CHECKPOINT_PASSIVE)
	return err
}

// do runs one checkpoint on the own connection.
func (k *checkpointer) do(mode int32) error {
	if err := k.e.db.Err(); err != nil {
		return err
	}
	if k.conn == nil {
		c, err := k.e.connect(64)
		if err != nil {
			return k.failed(err)
		}
		k.conn = c
	}
	_, _, err := k.conn.checkpoint(mode)
	return k.failed(err)
}

// failed sorts a checkpoint's error: busy and full pass by themselves, a failed write or flush poisons.
func (k *checkpointer) failed(err error) error {
	var le *liteError
	if errors.As(err, &le) {
		switch {
		case le.code&0xff == sqlite3.SQLITE_BUSY || le.code&0xff == sqlite3.SQLITE_LOCKED:
		case le.class() == classPoison:
			k.e.db.poison(fmt.Errorf("checkpoint: %w", err))
		default:
			k.e.db.log.Warn("store: checkpoint", "err", err)
		}
	}
	return err
}

// stop ends the goroutine; after a healthy run the WAL is copied back wholly and emptied.
func (k *checkpointer) stop(healthy bool) error {
	close(k.quit)
	<-k.ended
	var err error
	if healthy {
		if err = k.do(sqlite3.SQLITE_CHECKPOINT_TRUNCATE); IsBusy(err) {
			err = nil // another program reads it: the next start goes on from the WAL
		}
	}
	if k.conn == nil {
		return err
	}
	k.conn.keepWAL(!healthy || err != nil)
	return errors.Join(err, k.conn.close())
}
