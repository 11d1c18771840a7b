package http

import (
	"io"
	"net/http"
	"time"
)

// slowest is how many bytes a second a long request or answer must move, on
// the whole: a file may take hours, a byte now and then may not (HARDENING X8).
const slowest = 1 << 10

// long is around a handler whose body or answer may be large: instead of one
// deadline for all of it, each byte moves the deadline on.
func (s *Server) long(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		in := &pace{set: c.SetReadDeadline, stall: s.conf.Timeout}
		out := &pace{set: c.SetWriteDeadline, stall: s.conf.Timeout}
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

// pace keeps the deadline of one direction; owned by the handler's goroutine.
type pace struct {
	set   func(time.Time) error
	stall time.Duration
	begun time.Time
	bytes int64
}

// on sets the deadline for the bytes that come next. A transport that knows no
// deadlines (there is none here) would keep the server's own.
func (p *pace) on() {
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

func (p *pace) off() { _ = p.set(time.Time{}) }

type slowBody struct {
	io.ReadCloser
	pace *pace
}

func (b *slowBody) Read(p []byte) (int, error) {
	b.pace.on()
	n, err := b.ReadCloser.Read(p)
	b.pace.bytes += int64(n)
	if err == io.EOF {
		b.pace.off() // what is done with it now takes as long as it takes
	}
	return n, err
}

type slowWriter struct {
	http.ResponseWriter
	pace *pace
}

// Unwrap is for http.ResponseController.
func (w *slowWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *slowWriter) WriteHeader(status int) {
	w.pace.on()
	w.ResponseWriter.WriteHeader(status)
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.pace.on()
	n, err := w.ResponseWriter.Write(p)
	w.pace.bytes += int64(n)
	return n, err
}
