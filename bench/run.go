package bench

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Workload is one kind of load.
type Workload struct {
	Name, About string
	Defaults    Options // for what is left zero
	run         func(ctx context.Context, b *run) (*Result, error)
}

// Workloads lists what there is.
func Workloads() []Workload {
	return []Workload{
		{"idle", "sessions that do nothing: memory per session", Options{Sessions: 1000, Length: 10 * time.Second}, idle},
		{"chat", "messages between pairs, at a fixed rate or in a closed loop", Options{Sessions: 1000, Rate: 1000, Length: 20 * time.Second}, chat},
		{"presence", "everybody comes and goes at once, with rosters", Options{Sessions: 2000, Contacts: 20, Length: 2 * time.Minute}, presence},
		{"login", "log in and out, over and over", Options{Sessions: 200, Count: 2000, Length: time.Minute}, logins},
		{"archive", "page backwards through the archive", Options{Sessions: 16, Window: 64, Page: 50, Pages: 2000, Length: 10 * time.Minute}, archive},
		{"room", "messages in a room, at a fixed rate", Options{Sessions: 100, Rate: 20, Length: 20 * time.Second}, room},
	}
}

// run is one measurement under way.
type run struct {
	Options
	dial *Dial
	proc *Proc
	tag  string // marks what this run sent
}

// Run measures one workload.
func Run(ctx context.Context, w Workload, o Options) (*Result, error) {
	o.fill(w.Defaults)
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := raiseFiles(o.Sessions + 100); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*o.Length+30*time.Minute) // whatever happens, it ends
	defer cancel()
	b := &run{Options: o, proc: NewProc(o.PIDs...), tag: fmt.Sprintf("%x", time.Now().UnixNano())}
	b.dial = &Dial{Addr: o.Addr, Domain: o.Domain, Password: o.Password, TLS: o.TLS, Mechanism: o.Mechanism, Read: 1024}
	r, err := w.run(ctx, b)
	if err != nil {
		return nil, err
	}
	r.Workload = w.Name
	if r.Sessions == 0 {
		r.Sessions = o.Sessions
	}
	if len(o.PIDs) == 0 {
		r.Notes = append(r.Notes, "CPU and memory of the server are not known: no --pid")
	}
	return r, nil
}

// fill sets what is zero. A window asks for a closed loop, so it leaves the rate alone.
func (o *Options) fill(d Options) {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.Sessions, d.Sessions)
	set(&o.Workers, 16)
	set(&o.Count, d.Count)
	set(&o.Contacts, d.Contacts)
	set(&o.Pages, d.Pages)
	set(&o.Page, d.Page)
	if o.Window == 0 {
		set(&o.Rate, d.Rate)
	}
	set(&o.Window, d.Window)
	if o.Length == 0 {
		o.Length = d.Length
	}
	if o.TLS == "" {
		o.TLS = TLSDirect
	}
	if o.Domain == "" {
		if host, _, err := net.SplitHostPort(o.Addr); err == nil {
			o.Domain = host
		}
	}
}

// raiseFiles lifts the soft limit of open files to the hard one.
func raiseFiles(need int) error {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return err
	}
	r.Cur = r.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return err
	}
	if uint64(need) > r.Max {
		return fmt.Errorf("bench: %d open files are needed, %d allowed (ulimit -n)", need, r.Max)
	}
	return nil
}

// clients are the sessions of a run, by number of the person.
type clients []*Client

// open logs the first n people in, some at a time; each is called for each.
func (b *run) open(ctx context.Context, n int, each func(c *Client) error) (clients, error) {
	all := make(clients, n)
	var done atomic.Int64
	err := b.parallel(ctx, n, b.Workers, func(ctx context.Context, i int) error {
		c, err := b.dial.Open(ctx, b.user(i), "bench")
		if err != nil {
			return err
		}
		c.Index, all[i] = i, c
		if each != nil {
			err = each(c)
		}
		b.Progress.Tell("log in", done.Add(1), int64(n))
		return err
	})
	if err != nil {
		all.close()
		return nil, err
	}
	return all, nil
}

// parallel calls f for 0 to n-1 from several goroutines until one fails.
func (b *run) parallel(ctx context.Context, n, workers int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// close ends all sessions, a few at a time.
func (cs clients) close() {
	var wg sync.WaitGroup
	gate := make(chan struct{}, 64)
	for _, c := range cs {
		if c == nil {
			continue
		}
		gate <- struct{}{}
		wg.Go(func() { c.Close(); <-gate })
	}
	wg.Wait()
}

// settle waits for all.
func (cs clients) settle(ctx context.Context) error {
	for _, c := range cs {
		if err := c.Settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lost counts the sessions that have ended, and tells of one.
func (cs clients) lost(r *Result) {
	for _, c := range cs {
		if c.ended() {
			if r.Dropped++; r.Dropped == 1 {
				r.Notes = append(r.Notes, c.lost().Error())
			}
		}
	}
}

// version asks the server for its name (XEP-0092 §3).
func (b *run) version(ctx context.Context, c *Client) string {
	e, err := c.Ask(ctx, "get", b.Domain, "<query xmlns='jabber:iq:version'/>")
	if err != nil || e.Attr("type") != "result" {
		return ""
	}
	q := e.Child("jabber:iq:version", "query")
	if q == nil {
		return ""
	}
	return q.ChildText("name") + " " + q.ChildText("version")
}

// quiet waits until count has reached want or has not moved for a while: a
// short one if hardly anything is missing.
func (b *run) quiet(ctx context.Context, step string, want int64, still time.Duration, count func() int64) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	last, moved := count(), time.Now()
	for {
		n := count()
		b.Progress.Tell(step, n, want)
		if n >= want {
			return nil
		}
		if n != last {
			last, moved = n, time.Now()
		}
		if d := time.Since(moved); d > still || d > still/10 && n >= want-want/50 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
