package http

import (
	"io"
	"net/http"
	"time"
)

// slowest is how many bytes a second a long request or answer must move, on
// the whole: a file may take hours, a byte now and then may not (HARDENING X8).
const slowest = 4 << 10

// long is around a handler whose body or answer may be large: instead of one
// deadline for all of it, each byte moves the deadline on.
func (s *Server) long(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		in := &progress{set: c.SetReadDeadline, stall: s.conf.Timeout}
		out := &progress{set: c.SetWriteDeadline, stall: s.conf.Timeout}
		if r.ContentLength == 0 {
			in.off() // nothing is read: the connection is only watched
		} else {
			in.on()
			out.off() // until there is something to answer
			r.Body = &slowBody{r.Body, in}
		}
		next.ServeHTTP(&slowWriter{w, out}, r)
	})
}

// progress keeps the deadline of one direction; owned by the handler's goroutine.
type progress struct {
	set   func(time.Time) error
	stall time.Duration
	begun time.Time
	bytes int64
}

// on sets the deadline for the bytes that come next. A transport that knows no
// deadlines (there is none here) would keep the server's own.
func (p *progress) on() {
	now := time.Now()
	if p.begun.IsZero() {
		p.begun = now
	}
	at := now.Add(p.stall)
	if floor := p.begun.Add(p.stall + time.Duration(p.bytes/slowest)*time.Second); floor.Before(at) {
		at = floor
	}
	_ = p.set(at)
}

func (p *progress) off() { _ = p.set(time.Time{}) }

type slowBody struct {
	io.ReadCloser
	progress *progress
}

func (b *slowBody) Read(p []byte) (int, error) {
	b.progress.on()
	n, err := b.ReadCloser.Read(p)
	b.progress.bytes += int64(n)
	if err == io.EOF {
		b.progress.off() // what is done with it now takes as long as it takes
	}
	return n, err
}

type slowWriter struct {
	http.ResponseWriter
	progress *progress
}

// Unwrap is for http.ResponseController.
func (w *slowWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *slowWriter) WriteHeader(status int) {
	w.progress.on()
	w.ResponseWriter.WriteHeader(status)
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.progress.on()
	n, err := w.ResponseWriter.Write(p)
	w.progress.bytes += int64(n)
	return n, err
}
