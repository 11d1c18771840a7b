package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	sqlite3 "modernc.org/sqlite/lib"
)

// quickCheckMax is how large a file is checked page by page at every start: that takes
// a quarter of a second. Larger ones are for `parlance doctor --archive`.
const quickCheckMax = 64 << 20

// DamagedError says that a file of the data set is not as it was left: what it held is
// not there, or not all of it. Nothing was changed.
type DamagedError struct {
	File   string
	Offset int64 // where the bad part begins; -1: not known
	What   string
}

func (e *DamagedError) Error() string {
	at := ""
	if e.Offset >= 0 {
		at = fmt.Sprintf(" from byte %d on", e.Offset)
	}
	do := "restore a backup"
	if e.Offset < 0 {
		do += ", or read what can still be read with `sqlite3 " + e.File + " .recover`"
	}
	return fmt.Sprintf("%s is damaged%s: %s. Nothing was changed: keep a copy of the folder, then %s", e.File, at, e.What, do)
}

const inUse = ".used" // beside the database: it has held a data set

// intact looks at the files before SQLite does (HARDENING F23): SQLite takes an empty file for a new data
// set, and a write-ahead log that breaks off in its middle for one that a crash cut short.
// It cannot see what leaves no trace here: a log that was shortened to any of its commits, or emptied, looks
// as if nothing more had been written. For that there is the archive's witness (docs/decisions/0007).
func (e *lite) intact() error {
	fi, err := os.Stat(e.path)
	if err != nil {
		return err
	}
	wal, err := os.Open(e.path + "-wal")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	walSize := int64(0)
	if wal != nil {
		defer wal.Close()
		if walSize, err = wal.Seek(0, io.SeekEnd); err != nil {
			return err
		}
		if err := walIntact(wal, walSize); err != nil && !e.o.Broken {
			return err
		}
	}
	if fi.Size() == 0 {
		if _, err := os.Stat(e.path + inUse); err == nil {
			return &DamagedError{e.path, 0, "it is missing or empty, but has held a data set (to begin anew, move " + e.path + inUse + " away)"}
		}
		return nil
	}
	return headerIntact(e.path, fi.Size(), walSize)
}

// use leaves the mark that the file holds a data set from now on.
func (e *lite) use() error {
	f, err := os.OpenFile(e.path+inUse, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), syncDir(filepath.Dir(e.path)))
}

// headerIntact compares the file's length with what its header says. While there is a WAL
// the file may be behind it.
func headerIntact(path string, size, walSize int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var h [100]byte
	if _, err := f.ReadAt(h[:], 0); err != nil || !bytes.HasPrefix(h[:], []byte("SQLite format 3\x00")) {
		return &DamagedError{path, 0, "it does not begin as an SQLite database does"}
	}
	page := int64(binary.BigEndian.Uint16(h[16:]))
	if page == 1 {
		page = 65536
	}
	pages := int64(binary.BigEndian.Uint32(h[28:]))
	// The count is valid if it was written together with the change counter.
	if walSize == 0 && binary.BigEndian.Uint32(h[24:]) == binary.BigEndian.Uint32(h[92:]) && size < page*pages {
		return &DamagedError{path, size, fmt.Sprintf("it ends after %d bytes of %d", size, page*pages)}
	}
	return nil
}

// walIntact finds a WAL that is damaged before its end. A crash can leave only the last transaction torn,
// for each begins after the one before it was flushed. So a frame whose checksum is wrong and behind it frames that follow each
// other over the ends of two transactions: what is before those was on the disk, and is not any more. (What a crash left
// of one transaction may lie behind the frames that have overwritten its beginning: that is one end.)
func walIntact(f *os.File, size int64) error {
	const header, frameHeader = 32, 24
	var h [header]byte
	if size < header {
		return nil
	}
	if _, err := f.ReadAt(h[:], 0); err != nil {
		return err
	}
	page, bad := int64(binary.BigEndian.Uint32(h[8:])), int64(-1)
	last := checksum(h[24:]) // of the frame before
	magic := binary.BigEndian.Uint32(h[:])
	if magic&^1 != 0x377f0682 || page < 512 || page > 65536 || page&(page-1) != 0 || walSum(h[:24], [2]uint32{}, magic) != last {
		page, bad, magic = 4096, 0, 0x377f0682
	}
	buf := make([]byte, frameHeader+page)
	salt, ends := bytes.Clone(h[16:24]), 0
	for at := int64(header); at+int64(len(buf)) <= size; at += int64(len(buf)) {
		if _, err := f.ReadAt(buf, at); err != nil {
			return err
		}
		follows := walSum(buf[frameHeader:], walSum(buf[:8], last, magic), magic) == checksum(buf[16:])
		last = checksum(buf[16:])
		switch {
		case !follows || bad != 0 && !bytes.Equal(buf[8:16], salt): // another salt: left from an older log
			if ends = 0; bad < 0 {
				bad = at
			}
		case bad >= 0 && binary.BigEndian.Uint32(buf[4:]) != 0: // the last frame of a transaction
			if ends++; ends == 2 {
				return &DamagedError{f.Name(), bad, "transactions that were on the disk can't be read"}
			}
		}
	}
	return nil
}

func checksum(b []byte) [2]uint32 {
	return [2]uint32{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// walSum is the checksum of SQLite's file format §4.2 over 8-byte groups; the log's magic number says in which byte order.
func walSum(b []byte, s [2]uint32, magic uint32) [2]uint32 {
	var order binary.ByteOrder = binary.LittleEndian
	if magic&1 != 0 {
		order = binary.BigEndian
	}
	for ; len(b) >= 8; b = b[8:] {
		s[0] += order.Uint32(b) + s[1]
		s[1] += order.Uint32(b[4:]) + s[0]
	}
	return s
}

// quickCheck has SQLite look at the structure of every page, if that is quick.
func (e *lite) quickCheck(ctx context.Context) error {
	size, err := e.size(ctx)
	if err != nil || size > quickCheckMax {
		return err
	}
	return e.structure()
}

// structure has SQLite look at the structure of every page, on a connection of its own.
func (e *lite) structure() (err error) {
	c, err := e.connect(writerCache)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	switch said, err := c.pragma("PRAGMA quick_check(1)"); {
	case err != nil:
		return &DamagedError{e.path, -1, err.Error()}
	case said != "ok":
		return &DamagedError{e.path, -1, said}
	}
	return nil
}

// CheckStructure looks at the structure of every page of an SQLite data set, whatever its size; the error is a
// *DamagedError. PostgreSQL checks its own pages.
func (db *DB) CheckStructure() error {
	if e, ok := db.eng.(*lite); ok {
		return e.structure()
	}
	return nil
}

// named says which file SQLite found malformed.
func named(eng engine, err error) error {
	var le *liteError
	if e, ok := eng.(*lite); ok && errors.As(err, &le) && (le.code&0xff == sqlite3.SQLITE_CORRUPT || le.code&0xff == sqlite3.SQLITE_NOTADB) {
		return &DamagedError{e.path, -1, err.Error()}
	}
	return err
}
