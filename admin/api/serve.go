package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/host"
	"github.com/parlance-im/parlance/im/trace"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Server answers the operator. Accounts and Domain are needed.
type Server struct {
	Accounts *account.Store
	Domain   string
	// Hosts are all domains; nil: there is but Domain.
	Hosts Hosts
	// Status fills in what the server knows of itself; nil leaves it empty.
	Status func() Status
	// Metrics answers GET /metrics; nil: there are none.
	Metrics http.Handler
	// Trace is where stanzas can be watched; nil: nowhere.
	Trace *trace.Tracer
	// Log receives who changed what; nil: nothing is logged.
	Log *slog.Logger
}

// maxBody bounds a request other than an import.
const maxBody = 64 << 10

// Serve answers on l until ctx ends. Then it stops imports behind the batch
// they are at, lets requests finish for up to 5 seconds, and closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var running sync.WaitGroup
	routes := s.handler(ctx)
	h := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Done()
			routes.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	stopped := make(chan error, 1)
	end := func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err := h.Shutdown(limit)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			err = nil // a peer that does not finish is no fault of ours, a listener closed before neither
		}
		stopped <- errors.Join(err, h.Close())
	}
	stop := context.AfterFunc(ctx, end)
	err := h.Serve(l)
	if stop() {
		end() // not told to stop: the listener failed, or its owner closed it
	}
	if serr := <-stopped; errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		err = serr
	}
	running.Wait() // Close has ended their contexts
	return err
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// handler lists the routes. What takes long ends with stopping.
func (s *Server) handler(stopping context.Context) http.Handler {
	mux := http.NewServeMux()
	new(profiles).routes(mux, stopping)
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.Metrics)
	}
	all := map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /v1/status":                s.status,
		"GET /v1/users":                 s.list,
		"POST /v1/users":                s.add,
		"GET /v1/users/{jid}":           s.get,
		"PATCH /v1/users/{jid}":         s.change,
		"DELETE /v1/users/{jid}":        s.remove,
		"POST /v1/users/{jid}/password": s.password,
		"GET /v1/users/{jid}/devices":   s.devices,

		"DELETE /v1/users/{jid}/devices/{device}": s.revokeDevice,
		"GET /v1/trace": func(w http.ResponseWriter, r *http.Request) error {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(stopping, cancel)()
			return s.trace(w, r.WithContext(ctx))
		},
		"POST /v1/import": func(w http.ResponseWriter, r *http.Request) error {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(stopping, cancel)()
			return s.load(w, r.WithContext(ctx))
		},
	}
	maps.Copy(all, s.hostRoutes())
	for pattern, f := range all {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := f(w, r); err != nil {
				p, status := toProblem(err)
				answer(w, status, p)
			}
		})
	}
	return mux
}

// answer writes v; a peer that has gone away needs none.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func read(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &badRequest{"the body is not the expected JSON"} // it may hold a password: no detail
	}
	if _, err := d.Token(); err != io.EOF {
		return &badRequest{"something follows the JSON"}
	}
	return nil
}

func target(r *http.Request) (jid.JID, error) {
	return address(r.PathValue("jid"))
}

func address(text string) (jid.JID, error) {
	j, err := jid.Parse(text)
	if err != nil || !j.IsBare() || j.Local() == "" {
		return jid.JID{}, account.ErrName
	}
	return j, nil
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	var st Status
	if s.Status != nil {
		st = s.Status()
	}
	st.Domain = s.Domain
	n, err := s.Accounts.Count(r.Context())
	if err != nil {
		return err
	}
	st.Accounts = n
	answer(w, http.StatusOK, st)
	return nil
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil || n < 1 || n > 1000 {
		return &badRequest{"n is a number from 1 to 1000"}
	}
	page, err := s.Accounts.List(r.Context(), r.URL.Query().Get("after"), n)
	if err != nil {
		return err
	}
	out := make([]user, 0, len(page))
	for _, a := range page {
		out = append(out, toUser(a))
	}
	answer(w, http.StatusOK, out)
	return nil
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) error {
	who, err := target(r)
	if err != nil {
		return err
	}
	a, err := s.Accounts.Get(r.Context(), who)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, toUser(a))
	return nil
}

func (s *Server) add(w http.ResponseWriter, r *http.Request) error {
	var q addRequest
	if err := read(w, r, &q); err != nil {
		return err
	}
	who, err := address(q.JID)
	if err != nil {
		return err
	}
	if err := s.here(r.Context(), who); err != nil {
		return err
	}
	if err := s.Accounts.Create(r.Context(), who, q.Password, account.Options{Name: q.Name, Admin: q.Admin}); err != nil {
		return err
	}
	s.log().Info("admin: account added", "account", who.String(), "admin", q.Admin)
	answer(w, http.StatusCreated, struct{}{})
	return nil
}

// here refuses accounts of a domain this server is not.
func (s *Server) here(ctx context.Context, who jid.JID) error {
	home, err := jid.New("", s.Domain, "")
	if err != nil {
		return err
	}
	if who.DomainJID() == home {
		return nil
	}
	if s.Hosts == nil {
		return &badRequest{"the domain of this server is " + home.String()}
	}
	if _, err := s.Hosts.Show(ctx, who.DomainJID()); errors.Is(err, host.ErrNotFound) {
		return &badRequest{who.Domain() + " is no host of this server; add it with parlance host add"}
	} else if err != nil {
		return err
	}
	return nil
}

func (s *Server) change(w http.ResponseWriter, r *http.Request) error {
	var q changeRequest
	if err := read(w, r, &q); err != nil {
		return err
	}
	who, err := target(r)
	if err == nil && q.Name != nil {
		err = s.Accounts.SetName(r.Context(), who, *q.Name)
	}
	if err == nil && q.Admin != nil {
		err = s.Accounts.SetAdmin(r.Context(), who, *q.Admin)
	}
	if err == nil && q.Disabled != nil {
		err = s.Accounts.Disable(r.Context(), who, *q.Disabled)
	}
	if err != nil {
		return err
	}
	s.log().Info("admin: account changed", "account", who.String(), "admin", q.Admin != nil, "disabled", q.Disabled != nil, "name", q.Name != nil)
	answer(w, http.StatusOK, struct{}{})
	return nil
}

func (s *Server) password(w http.ResponseWriter, r *http.Request) error {
	var q passwordRequest
	if err := read(w, r, &q); err != nil {
		return err
	}
	who, err := target(r)
	if err != nil {
		return err
	}
	if err := s.Accounts.SetPassword(r.Context(), who, q.Password); err != nil {
		return err
	}
	s.log().Info("admin: password set", "account", who.String())
	answer(w, http.StatusOK, struct{}{})
	return nil
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request) error {
	who, err := target(r)
	if err != nil {
		return err
	}
	if err := s.Accounts.Remove(r.Context(), who); err != nil {
		return err
	}
	s.log().Info("admin: account removed", "account", who.String())
	answer(w, http.StatusOK, struct{}{})
	return nil
}

// load imports the body and tells how it goes, a line of JSON an event.
func (s *Server) load(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	o := account.Import{Domain: s.Domain}
	for name, set := range map[string]func(int64){
		"iterations": func(n int64) { o.Iterations = int(n) },
		"size":       func(n int64) { o.Size = n },
	} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return &badRequest{name + " is a number"}
		}
		set(n)
	}
	rc := http.NewResponseController(w)
	// The file is still being read when the first line of the answer goes out.
	if err := rc.EnableFullDuplex(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	tell := func(e event) {
		// A peer that has gone away ends r.Context(), and with it the import.
		_ = enc.Encode(e)
		_ = rc.Flush()
	}
	o.Progress = func(p account.Progress) { tell(event{Progress: &p}) }
	o.Bad = func(line int, why string) { tell(event{Bad: &badLine{line, why}}) }
	got, err := s.Accounts.Import(r.Context(), r.Body, o)
	s.log().Info("admin: accounts imported", "done", got.Done, "bad", got.Bad, "err", err)
	if err != nil {
		// What is still on its way is taken in, or the peer would see a broken
		// connection instead of the reason.
		if r.Context().Err() == nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		tell(event{Error: err.Error()})
		return nil // the answer has begun: its last line tells the error
	}
	tell(event{Done: &got})
	return nil
}
