package account

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// Import says how to read a file of accounts.
type Import struct {
	Domain     string // of user names without one
	Iterations int    // of PBKDF2; 0: the store's
	Size       int64  // of the file in bytes, for the time left; 0 if not known
	// Progress is called after each batch that is on disk, and Bad for each line
	// that was left out, from one goroutine. Either may be nil.
	Progress func(Progress)
	Bad      func(line int, why string)
}

// Progress is how far an import has come.
type Progress struct {
	Done int `json:"done"` // accounts on disk
	Bad  int `json:"bad"`  // lines left out
	// Bytes of the file read, of Total.
	Bytes int64 `json:"bytes"`
	Total int64 `json:"total"`
	// Rate is accounts per second so far.
	Rate float64 `json:"rate"`
	// Left is the time the rest takes at this rate; 0 if that is not known.
	Left time.Duration `json:"left_ns"`
}

// importBatch is how many accounts share a transaction: few enough that a chat
// message waiting for the writer does not notice.
const importBatch = 128

// Iterations an import accepts: fewer are no protection even in a test, more
// would make every login of the account an attack (HARDENING A16).
const (
	minIterations = 1000
	maxIterations = 1_000_000
)

// Import adds the accounts of a CSV file. Its first line names the columns:
// user (or jid) and either password or scram_sha256 and/or scram_sha1 are
// needed, name, admin and disabled are possible. A bad line is reported and left
// out; the error is about the file or the store as a whole. Keys are derived on
// all cores, so that the time is PBKDF2's.
func (s *Store) Import(ctx context.Context, r io.Reader, o Import) (Progress, error) {
	if o.Iterations == 0 {
		o.Iterations = s.conf.Iterations
	}
	if o.Iterations < minIterations || o.Iterations > maxIterations {
		return Progress{}, fmt.Errorf("account: import: %d iterations; from %d to %d are possible", o.Iterations, minIterations, maxIterations)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines, err := newLineReader(r, o.Domain)
	if err != nil {
		return Progress{}, fmt.Errorf("account: import: %w", err)
	}
	im := &importer{s: s, o: o, start: time.Now()}
	batches := make(chan batch, 1)
	written := make(chan error, 1)
	go func() {
		err := im.write(ctx, batches)
		cancel() // deriving more is of no use
		written <- err
	}()
	readErr := im.read(ctx, lines, batches)
	close(batches)
	err = <-written
	if err == nil {
		err = readErr
	}
	// Keys from elsewhere are often of one hash only.
	if bad := s.lacking.read(context.WithoutCancel(ctx), s.db); err == nil {
		err = bad
	}
	if err != nil {
		return im.at, fmt.Errorf("account: import: %w", err)
	}
	return im.at, nil
}

// importer is one import on its way.
type importer struct {
	s     *Store
	o     Import
	start time.Time
	at    Progress // owner: write, and after it Import
}

// batch is some lines and how far into the file they reach.
type batch struct {
	lines []*line
	bytes int64
}

// line is one account to be, or why it is none.
type line struct {
	number   int
	account  Account
	password string
	keys     map[sasl.Hash]sasl.Keys
	bad      string
}

// read takes lines, derives their keys and passes them on in order.
func (im *importer) read(ctx context.Context, lines *lineReader, out chan<- batch) error {
	for {
		b, err := lines.batch(importBatch)
		if err != nil {
			return err
		}
		if len(b.lines) == 0 {
			return nil
		}
		im.derive(b.lines)
		select {
		case out <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// derive makes the keys of a batch on all cores.
func (im *importer) derive(lines []*line) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(lines) {
					return
				}
				im.keys(lines[i])
			}
		})
	}
	wg.Wait()
}

func (im *importer) keys(l *line) {
	if l.bad != "" || l.keys != nil {
		return
	}
	prepared, err := im.s.rules.check(l.account.JID, l.password)
	l.password = ""
	if err == nil {
		l.keys, err = derive(prepared, im.o.Iterations)
	}
	if r, ok := errors.AsType[*Refused](err); ok {
		l.bad = r.Why
	} else if err != nil {
		l.bad = err.Error()
	}
}

// write commits batches and reports.
func (im *importer) write(ctx context.Context, in <-chan batch) error {
	for b := range in {
		if err := im.insert(ctx, b.lines); err != nil {
			return err
		}
		for _, l := range b.lines {
			if l.bad == "" {
				im.at.Done++
				continue
			}
			im.at.Bad++
			if im.o.Bad != nil {
				im.o.Bad(l.number, l.bad)
			}
		}
		im.progress(b.bytes)
	}
	return nil
}

func (im *importer) progress(bytes int64) {
	p := &im.at
	p.Bytes, p.Total = bytes, im.o.Size
	if d := time.Since(im.start).Seconds(); d > 0 {
		p.Rate = float64(p.Done) / d
		if p.Total > 0 && bytes > 0 {
			p.Left = time.Duration(d * max(0, float64(p.Total-bytes)) / float64(bytes) * float64(time.Second))
		}
	}
	if im.o.Progress != nil {
		im.o.Progress(*p)
	}
}

// insert adds what is good of a batch; a name that is taken makes its line bad.
func (im *importer) insert(ctx context.Context, lines []*line) error {
	names := make([]jid.JID, 0, len(lines))
	now := im.s.now()
	taken := make([]bool, len(lines))
	err := im.s.db.Write(ctx, func(tx *store.Tx) error {
		for i, l := range lines {
			if l.bad != "" {
				continue
			}
			l.account.Created = now
			added, err := insert(tx, l.account, l.keys)
			if err != nil {
				return err
			}
			taken[i] = !added
			names = append(names, l.account.JID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, l := range lines {
		if taken[i] {
			l.bad = "the account exists already"
		}
	}
	im.s.cache.drop(names...)
	return nil
}

// lineReader reads CSV line by line.
type lineReader struct {
	csv     *csv.Reader
	columns []string
	domain  string
}

func (r *lineReader) batch(n int) (batch, error) {
	var b batch
	for len(b.lines) < n {
		record, err := r.csv.Read()
		if err == io.EOF {
			break
		}
		if pe, ok := errors.AsType[*csv.ParseError](err); ok {
			b.lines = append(b.lines, &line{number: pe.StartLine, bad: pe.Err.Error()})
			continue
		}
		if err != nil {
			return b, err
		}
		number, _ := r.csv.FieldPos(0)
		l := &line{number: number}
		if err := r.parse(l, record); err != nil {
			l.bad = err.Error()
		}
		b.lines = append(b.lines, l)
	}
	b.bytes = r.csv.InputOffset()
	return b, nil
}
