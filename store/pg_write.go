package store

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// pgWriter is the writer's connection.
type pgWriter struct {
	pgConn
	cancel context.CancelFunc // of the transaction's context
}

func (w *pgWriter) begin() error {
	w.cancel()
	w.ctx, w.cancel = context.WithTimeout(context.Background(), pgBatchTime)
	return w.run("BEGIN")
}

func (w *pgWriter) run(q string) error {
	_, err := w.exec(q, nil)
	return err
}

func (w *pgWriter) commit() error {
	tag, err := w.c.Exec(w.ctx, "COMMIT")
	if err != nil {
		return fmt.Errorf("postgresql: %w", err)
	}
	if tag.String() != "COMMIT" { // a failed transaction answers COMMIT with ROLLBACK, and no error
		return errors.New("postgresql: the transaction was rolled back")
	}
	return nil
}

func (w *pgWriter) rollback() error {
	if w.c.IsClosed() || w.c.PgConn().TxStatus() == 'I' { // lost or ended
		return nil
	}
	return w.run("ROLLBACK")
}

func (w *pgWriter) savepoint() error  { return w.run("SAVEPOINT s") }
func (w *pgWriter) release() error    { return w.run("RELEASE SAVEPOINT s") }
func (w *pgWriter) rollbackTo() error { return w.run("ROLLBACK TO SAVEPOINT s") }

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
