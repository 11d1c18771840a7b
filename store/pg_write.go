package store

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// pgWriter is the writer's connection.
type pgWriter struct {
	pgConn
	cancel context.CancelFunc // of the transaction's context
	// pending are savepoint commands that travel with the next statement, so that a closure costs no round trips but
	// those of its own statements: at most the release of the last closure's savepoint and this one's.
	pending []string
	odd     bool            // two names take turns: should a savepoint not exist, its name is no older one's
	known   map[string]bool // statements that have run: only these may travel with others, for preparing a bad one ends the transaction before its savepoint is there
}

func (w *pgWriter) begin() error {
	w.cancel()
	w.ctx, w.cancel = context.WithTimeout(context.Background(), pgBatchTime)
	w.pending = w.pending[:0]
	return w.run("BEGIN")
}

func (w *pgWriter) run(q string) error {
	_, err := w.pgConn.exec(q, nil)
	return err
}

func (w *pgWriter) commit() error {
	w.pending = append(w.pending, "COMMIT")
	tag, err := w.c.Exec(w.ctx, w.takePending())
	if err != nil {
		return fmt.Errorf("postgresql: %w", err)
	}
	if tag.String() != "COMMIT" { // a failed transaction answers COMMIT with ROLLBACK, and no error
		return errors.New("postgresql: the transaction was rolled back")
	}
	return nil
}

// takePending returns what is pending as one text.
func (w *pgWriter) takePending() string {
	q := strings.Join(w.pending, ";")
	w.pending = w.pending[:0]
	return q
}

func (w *pgWriter) exec(q string, args []any) (int64, error) {
	if len(w.pending) == 0 || !w.known[q] {
		if err := w.flushPending(); err != nil {
			return 0, err
		}
		n, err := w.pgConn.exec(q, args)
		if err == nil && len(w.known) < maxStmts {
			w.known[q] = true
		}
		return n, err
	}
	args, err := plainArgs(args)
	if err != nil {
		return 0, err
	}
	var b pgx.Batch
	for _, p := range w.pending {
		b.Queue(p)
	}
	b.Queue(q, args...)
	w.pending = w.pending[:0]
	res := w.c.SendBatch(w.ctx, &b)
	var tag pgconn.CommandTag
	for range b.Len() {
		if tag, err = res.Exec(); err != nil {
			break
		}
	}
	if cerr := res.Close(); err == nil {
		err = cerr
	}
	return affected(tag, err)
}

func (w *pgWriter) query(q string, args []any) (cursor, error) {
	if err := w.flushPending(); err != nil {
		return nil, err
	}
	return w.pgConn.query(q, args)
}

func (w *pgWriter) flushPending() error {
	if len(w.pending) == 0 {
		return nil
	}
	return w.run(w.takePending())
}

func (w *pgWriter) rollback() error {
	if w.c.IsClosed() || w.c.PgConn().TxStatus() == 'I' { // lost or ended
		return nil
	}
	w.pending = w.pending[:0]
	return w.run("ROLLBACK")
}

func (w *pgWriter) savepointName() string {
	if w.odd {
		return "s1"
	}
	return "s0"
}

func (w *pgWriter) savepoint() error {
	w.odd = !w.odd
	w.pending = append(w.pending, "SAVEPOINT "+w.savepointName())
	return nil
}

// unsent reports whether the closure has run no statement, so that its savepoint was not needed.
func (w *pgWriter) unsent() bool {
	n := len(w.pending)
	return n > 0 && strings.HasPrefix(w.pending[n-1], "SAVEPOINT")
}

func (w *pgWriter) release() error {
	if w.unsent() {
		w.pending = w.pending[:len(w.pending)-1]
		w.odd = !w.odd // the name is free again
		return nil
	}
	w.pending = append(w.pending, "RELEASE SAVEPOINT "+w.savepointName())
	return nil
}

func (w *pgWriter) rollbackTo() error {
	if w.unsent() {
		return nil
	}
	return w.run("ROLLBACK TO SAVEPOINT " + w.savepointName()) // at once: nothing else is accepted before it
}

// classify: a connection that is gone, or that the server is about to end, is lost. The server judges its own disk.
func (w *pgWriter) classify(err error) class {
	if w.c.IsClosed() {
		return classConn
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch {
		case pe.Severity == "FATAL" || pe.Severity == "PANIC":
			return classConn
		case pe.Code == "53100": // disk_full
			return classTx
		}
	}
	if w.c.PgConn().TxStatus() == 'I' {
		return classTx
	}
	return classStatement
}

func (w *pgWriter) close() error {
	w.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return w.c.Close(ctx)
}

// pgValue brings a column's value to what SQLite gives for the same query.
func pgValue(v any) any {
	switch x := v.(type) {
	case int32:
		return int64(x)
	case int16:
		return int64(x)
	case bool: // of an expression; columns are BIGINT
		if x {
			return int64(1)
		}
		return int64(0)
	case pgtype.Numeric: // sum of BIGINT
		if n, ok := wholeNumber(x); ok {
			return n
		}
	}
	return v
}

func wholeNumber(x pgtype.Numeric) (int64, bool) {
	if !x.Valid || x.NaN || x.InfinityModifier != pgtype.Finite || x.Exp < 0 || x.Exp > 18 {
		return 0, false
	}
	n := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(x.Exp)), nil)
	n.Mul(n, x.Int)
	return n.Int64(), n.IsInt64()
}
