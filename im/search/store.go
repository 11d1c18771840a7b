package search

import (
	"bytes"
	"embed"
	"errors"
	"io/fs"

	"github.com/parlance-im/parlance/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the tables of this package.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		sub = migrations // the directory is embedded above: can't happen
	}
	return store.Migrations{Name: "search", FS: sub}
}

const (
	sqlPutRow   = `INSERT INTO word (block, first, list) VALUES ($1, $2, $3) ON CONFLICT (block, first) DO UPDATE SET list = excluded.list`
	sqlPutBlock = `INSERT INTO word_block (block, rest) VALUES ($1, $2) ON CONFLICT (block) DO UPDATE SET rest = excluded.rest`
	sqlRow      = `SELECT first, list FROM word WHERE block = $1 AND first <= $2 ORDER BY first DESC LIMIT 1`
	sqlDropRow  = `DELETE FROM word WHERE block = $1 AND first = $2`
	sqlDrop     = `DELETE FROM word WHERE block = $1`
	sqlUp       = `SELECT block, rest FROM word_block WHERE block >= $1 AND block <= $2 ORDER BY block LIMIT $3`
	sqlDown     = `SELECT block, rest FROM word_block WHERE block >= $1 AND block <= $2 ORDER BY block DESC LIMIT $3`
	// The rows that may have words from $3 up to $4, of some blocks: from the last that begins
	// before them on. The limit keeps the engines from looking at all rows instead.
	sqlLists = `SELECT z.block, w.list FROM (SELECT b.block, COALESCE((SELECT x.first FROM word x WHERE x.block = b.block AND x.first <= $3
			ORDER BY x.first DESC LIMIT 1), $3) AS low FROM word_block b WHERE b.block >= $1 AND b.block <= $2 ORDER BY b.block LIMIT $5) z
		JOIN word w ON w.block = z.block AND w.first >= z.low AND w.first < $4`
	sqlClearRows   = `DELETE FROM word WHERE block >= $1 AND block < $2`
	sqlClearBlocks = `DELETE FROM word_block WHERE block >= $1 AND block < $2`
	sqlFirst       = `SELECT block FROM word ORDER BY block LIMIT 1`
)

// Put writes rows of a block; a block counts from Done on.
func Put(tx *store.Tx, block int64, rows []Row) error {
	for i := range rows {
		if _, err := tx.Exec(sqlPutRow, &block, &rows[i].First, &rows[i].List); err != nil {
			return err
		}
	}
	return nil
}

// Begin takes away what a broken-off attempt has left of a block.
func Begin(tx *store.Tx, block int64) error {
	_, err := tx.Exec(sqlDrop, block)
	return err
}

// Done makes a block count.
func (b *Block) Done(tx *store.Tx) error {
	var rest []byte
	if len(b.rest) > 0 {
		rest = appendList(nil, b.rest)
	}
	_, err := tx.Exec(sqlPutBlock, b.Number, rest)
	return err
}

// Clear takes away some of the index, so that it can be made again; none is left when more is false.
func Clear(tx *store.Tx) (more bool, err error) {
	var first int64
	if err := tx.Row(sqlFirst).Scan(&first); err != nil {
		if errors.Is(err, store.ErrNoRows) {
			_, err = tx.Exec(`DELETE FROM word_block`)
			return false, err
		}
		return false, err
	}
	for _, q := range [...]string{sqlClearRows, sqlClearBlocks} {
		if _, err := tx.Exec(q, first, first+16); err != nil {
			return false, err
		}
	}
	return true, nil
}

// Erase takes a record's words out of the index, so that nothing in it tells what the record said. Its
// content must still be known; in the same transaction it is erased.
func Erase(tx *store.Tx, pos int64, message []byte) error {
	var r Reader
	r.read(message)
	seen := make(map[string]bool)
	for i := range r.words.list {
		word := r.words.word(i)
		if len(word) == 0 || seen[string(word)] {
			continue
		}
		seen[string(word)] = true
		if err := eraseWord(tx, BlockOf(pos), uint16(pos&(blockSize-1)), word); err != nil {
			return err
		}
	}
	return nil
}

func eraseWord(tx *store.Tx, block int64, at uint16, word []byte) error {
	var first, row []byte
	err := tx.Row(sqlRow, block, word).Scan(&first, &row)
	if errors.Is(err, store.ErrNoRows) {
		return nil // not indexed yet
	}
	if err != nil {
		return err
	}
	var p packer
	err = each(row, func(w, written []byte) bool {
		list := []uint16{}
		if readList(written, func(a uint16) {
			if a != at || !bytes.Equal(w, word) {
				list = append(list, a)
			}
		}) != nil {
			return false
		}
		if len(list) > 0 {
			p.add(bytes.Clone(w), list)
		}
		return true
	})
	if err != nil {
		return err
	}
	if _, err := tx.Exec(sqlDropRow, block, first); err != nil {
		return err
	}
	return Put(tx, block, p.rows)
}
