package scripts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// What must come has this long; what must not come is fenced, not waited for.
const (
	patience        = 10 * time.Second
	patienceDiffers = 2 * time.Second // with a server listed as not sending it
)

type run struct {
	script *script
	server *server.Server
	vars   vars
	live   map[string]*client.Client
	ignore map[string]map[string]bool
	wait   time.Duration
}

// play runs the script; the error names the line.
func (s *script) play(srv *server.Server) error {
	r := &run{script: s, server: srv, vars: vars{"domain": server.Domain}, live: map[string]*client.Client{}, ignore: map[string]map[string]bool{}}
	r.wait = patience
	if s.differs[string(srv.Kind)] != "" {
		r.wait = patienceDiffers
	}
	for name, d := range s.devices {
		bare := d.user + "@" + server.Domain
		r.vars[name] = bare + "/" + d.resource
		r.vars[name+".bare"], r.vars[name+".resource"] = bare, d.resource
		r.ignore[name] = map[string]bool{}
	}
	defer func() {
		for _, c := range r.live {
			c.Close()
		}
	}()
	for _, st := range s.steps {
		if err := r.step(st); err != nil {
			return fmt.Errorf("%s:%d: %s: %w", s.name, st.line, st.who, err)
		}
	}
	for _, who := range s.order {
		if r.live[who] != nil {
			if err := r.empty(who); err != nil {
				return fmt.Errorf("%s: at the end: %s: %w", s.name, who, err)
			}
		}
	}
	return nil
}

func (r *run) step(st step) error {
	if st.verb == connects {
		return r.connect(st.who)
	}
	c := r.live[st.who]
	if c == nil {
		return errors.New("is not connected")
	}
	switch st.verb {
	case online:
		return r.online(c, st.who, st.arg)
	case sends:
		for _, x := range st.stanzas {
			if err := c.Send(r.vars.fill(x)); err != nil {
				return err
			}
		}
	case receives:
		for _, want := range st.expected {
			if err := r.receive(c, st.who, []*client.Node{want}); err != nil {
				return err
			}
		}
	case receivesAny:
		return r.receive(c, st.who, st.expected)
	case nothing:
		return r.empty(st.who)
	case ignores:
		r.ignore[st.who][r.vars.fill(st.arg)] = true
	case forgets:
		if err := r.fence(st.who); err != nil {
			return err
		}
		c.Drain()
	case disconnects:
		c.Close()
		delete(r.live, st.who)
		return r.gone()
	case cut:
		c.Cut()
		delete(r.live, st.who)
		return r.gone()
	case loses:
		err := c.Closed(patience)
		delete(r.live, st.who)
		var se *client.StreamError
		if !errors.As(err, &se) || se.Node.Condition() != st.arg {
			return fmt.Errorf("the stream ended with %v where %s was due", err, st.arg)
		}
	}
	return nil
}

func (r *run) connect(who string) error {
	if r.live[who] != nil {
		return errors.New("is connected already")
	}
	d := r.script.devices[who]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o := r.server.Options(d.user, d.resource)
	o.Lang = d.lang
	c, err := client.Login(ctx, o)
	if err != nil {
		return err
	}
	r.live[who] = c
	if c.JID != r.vars[who] {
		return fmt.Errorf("got the address %s where %s was asked for", c.JID, r.vars[who])
	}
	return nil
}

// online sends initial presence and takes its reflection: RFC 6121 §4.2.2 has
// the server send it to the resource itself too.
func (r *run) online(c *client.Client, who, prio string) error {
	p := "<presence/>"
	if prio != "" {
		p = "<presence><priority>" + prio + "</priority></presence>"
	}
	if err := c.Send(p); err != nil {
		return err
	}
	_, err := c.Take(patience, func(n *client.Node) bool {
		return n.Is("presence", "") && n.Get("from") == c.JID && n.Get("type") == ""
	})
	return err
}

// gone lets a departure take effect: the server has seen it at the latest when
// every remaining device's ping behind it is answered. A cut is noticed by the
// server when its read fails, which loopback reports at once, so two rounds of
// pings stand between the cut and the next step.
func (r *run) gone() error {
	for range 2 {
		for _, who := range r.script.order {
			if c := r.live[who]; c != nil {
				if err := c.Fence(patience); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// fence returns when all that was sent so far has been handled and who has
// received all that came of it.
func (r *run) fence(who string) error {
	for _, other := range r.script.order {
		if c := r.live[other]; c != nil {
			if err := c.Fence(patience); err != nil {
				return fmt.Errorf("fence of %s: %w", other, err)
			}
		}
	}
	return r.live[who].Fence(patience)
}

func (r *run) empty(who string) error {
	if err := r.fence(who); err != nil {
		return err
	}
	var left []string
	for _, n := range r.live[who].Drain() {
		if !r.ignored(who, n) {
			left = append(left, n.String())
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("received, and should not have:\n\t%s", strings.Join(left, "\n\t"))
	}
	return nil
}

// ignored says whether a stanza is left out: by its kind, or by kind and sender.
func (r *run) ignored(who string, n *client.Node) bool {
	kind, from := n.Name.Local, n.Get("from")
	return r.ignore[who][kind] || r.ignore[who][kind+" from "+from]
}

// receive takes the next len(want) stanzas and matches them in any order. An
// ignored stanza counts only if it is one of those wanted.
func (r *run) receive(c *client.Client, who string, want []*client.Node) error {
	var got []*client.Node
	left := append([]*client.Node(nil), want...)
	for len(left) > 0 {
		n, err := c.Next(r.wait)
		if err != nil {
			return fmt.Errorf("%w\n\texpected %s\n\tgot      %s", err, list(left), list(got))
		}
		hit, why := r.pick(left, n)
		if hit >= 0 {
			got = append(got, n)
			left = append(left[:hit:hit], left[hit+1:]...)
			continue
		}
		if !r.ignored(who, n) {
			return fmt.Errorf("%w\n\texpected %s\n\tgot      %s", why, list(left), n)
		}
	}
	return nil
}

// pick finds the expectation n meets, or says why the likeliest one is not met.
func (r *run) pick(left []*client.Node, n *client.Node) (int, error) {
	var why error
	for i, w := range left {
		e := r.vars.match(w, n)
		if e == nil {
			return i, nil
		}
		if why == nil || w.Name == n.Name && w.Get("type") == n.Get("type") {
			why = e
		}
	}
	return -1, why
}

func list(ns []*client.Node) string {
	var out []string
	for _, n := range ns {
		out = append(out, n.String())
	}
	if len(out) == 0 {
		return "(none)"
	}
	return strings.Join(out, "\n\t         ")
}
