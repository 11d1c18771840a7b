package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Progress tells a person how far a run is: a bar on a terminal, a line every
// ten per cent otherwise. A nil one tells nothing.
type Progress struct {
	w    io.Writer
	bar  bool
	mu   sync.Mutex // the fields below
	step string
	at   int // last tenth told
	when time.Time
}

// NewProgress writes to w; f says whether it is a terminal.
func NewProgress(w io.Writer, f *os.File) *Progress {
	p := &Progress{w: w}
	if f != nil {
		info, err := f.Stat()
		p.bar = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// Tell says that done of all of a step are done.
func (p *Progress) Tell(step string, done, all int64) {
	if p == nil || all <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if step != p.step {
		p.step, p.at, p.when = step, -1, time.Time{}
	}
	done = min(done, all)
	tenth := int(done * 10 / all)
	if !p.bar {
		if tenth > p.at {
			p.at = tenth
			_, _ = fmt.Fprintf(p.w, "%s: %d of %d\n", step, done, all) // progress is not worth failing for
		}
		return
	}
	if done < all && time.Since(p.when) < 100*time.Millisecond || tenth == 10 && p.at == 10 {
		return
	}
	p.at, p.when = tenth, time.Now()
	const width = 30
	full := int(done * width / all)
	_, _ = fmt.Fprintf(p.w, "\r%-12s [%s%s] %3d %% %d of %d  ", step, strings.Repeat("#", full), strings.Repeat(".", width-full), done*100/all, done, all)
	if done == all {
		_, _ = fmt.Fprintln(p.w)
	}
}
