package adhoc

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im"
	vocab "github.com/parlance-im/parlance/xmpp/disco"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Config is what the engine runs on.
type Config struct {
	Features []im.Feature     // whose commands are offered
	Now      func() time.Time // nil: time.Now
	Log      *slog.Logger     // who ran what; nil: nobody hears of it
	// Account runs the commands that an account has beside the host's; nil: there are none.
	Account im.Handler
}

// Commands are all commands of the host.
type Commands struct {
	list   []*im.Command // in the order of their names
	byNode map[string]*im.Command
	now    func() time.Time
	log    *slog.Logger
	open   sessions
	others im.Handler // commands of accounts that are not the host's
}

// New collects the features' commands.
func New(c Config) *Commands {
	m := &Commands{byNode: map[string]*im.Command{}, now: c.Now, log: c.Log, others: c.Account}
	m.open.byID, m.open.count = map[string]*session{}, map[jid.JID]int{}
	if m.now == nil {
		m.now = time.Now
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	for _, f := range c.Features {
		for i := range f.Commands {
			cmd := &f.Commands[i]
			m.list = append(m.list, cmd)
			m.byNode[cmd.Node] = cmd
		}
	}
	slices.SortStableFunc(m.list, func(a, b *im.Command) int { return strings.Compare(a.Name, b.Name) })
	return m
}

// Feature is XEP-0050.
func (m *Commands) Feature() im.Feature {
	return im.Feature{
		Name:         "adhoc",
		Specs:        []im.Spec{{ID: "XEP-0050", Version: "1.3.0", Status: "complete", Note: "answers in English whatever xml:lang says"}},
		HostFeatures: []string{Space},
		IQ: []im.Route{
			{Scope: im.ToHost, Type: stanza.Set, Space: Space, Local: "command", Handle: m.handle},
			// RFC 6120 §10.3.3: the server answers for the account; its holder finds the same there.
			{Scope: im.ToSelf, Type: stanza.Set, Space: Space, Local: "command", Handle: m.handle}},
	}
}

// handle is one step of a command. An error repeats which command and session it
// is about, as in the examples of XEP-0050: clients look for it there.
func (m *Commands) handle(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	if !q.To.IsDomain() && m.others != nil && m.byNode[q.Payload.Attr("node")] == nil {
		return m.others(ctx, q)
	}
	out, err := m.answer(ctx, q)
	var se *stanza.Error
	if errors.As(err, &se) {
		about := *se
		about.About = elem.New(Space, "command", "node", q.Payload.Attr("node"))
		if id, ok := q.Payload.Lookup("sessionid"); ok {
			about.About.Set("sessionid", id)
		}
		return nil, &about
	}
	return out, err
}

// answer is one step of a command (XEP-0050 §2.4).
func (m *Commands) answer(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	node, id, action := q.Payload.Attr("node"), q.Payload.Attr("sessionid"), q.Payload.Attr("action")
	switch action {
	case "":
		action = execute // XEP-0050 §2.4.1: it is implied
	case execute, cancel, prev, next, complete:
	default:
		return nil, badRequest("malformed-action", "the actions are execute, next, prev, complete and cancel")
	}
	cmd, err := m.find(ctx, q, node)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return m.begin(ctx, q, cmd, action)
	}
	if !ours(id) {
		return nil, badRequest("bad-sessionid", "this is no session of a command here; begin without one")
	}
	s := m.open.take(id, q.From, m.now())
	if s == nil {
		return nil, fail("not-allowed", "cancel", "session-expired", "this command has ended; begin again")
	}
	if s.cmd != cmd || s.call.Host != q.To { // HARDENING I10: what was allowed on one host is not gone on with on another
		m.open.put(s, m.now())
		return nil, badRequest("bad-sessionid", "the session belongs to another command")
	}
	return m.step(ctx, q, s, action)
}

// find is the command of a node, for somebody who may run it.
func (m *Commands) find(ctx context.Context, q *im.IQ, node string) (*im.Command, error) {
	cmd := m.byNode[node]
	if cmd == nil {
		return nil, stanza.Fail("item-not-found", "there is no such command")
	}
	ok, err := may(ctx, q, cmd)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, stanza.Fail("forbidden", "you may not do this here").WithType("cancel")
	}
	return cmd, nil
}

func may(ctx context.Context, q *im.IQ, cmd *im.Command) (bool, error) {
	if cmd.May == nil {
		return true, nil
	}
	return cmd.May(ctx, q.To.DomainJID(), q.From)
}

func (m *Commands) begin(ctx context.Context, q *im.IQ, cmd *im.Command, action string) (*elem.Element, error) {
	if action != execute {
		return nil, badRequest("bad-action", "begin with execute: nothing is under way that could be gone on with")
	}
	s := &session{cmd: cmd, call: im.Call{ID: newID(), Host: q.To.DomainJID(), Who: q.From}}
	if len(cmd.Stages) == 0 {
		return m.run(ctx, s)
	}
	if err := m.open.room(q.From, m.now()); err != nil {
		return nil, err
	}
	return m.show(ctx, s)
}

// show puts a session's stage before its asker.
func (m *Commands) show(ctx context.Context, s *session) (*elem.Element, error) {
	f, err := s.cmd.Stages[s.stage].Form(ctx, &s.call)
	if err != nil {
		return nil, err
	}
	s.shown = f
	m.open.put(s, m.now())
	var had *form.Form
	if s.stage < len(s.call.Forms) {
		had = s.call.Forms[s.stage] // written before they went back
	}
	return executing(s, filled(f, had)), nil
}

// filled is a form with what the person had written into it.
func filled(f, had *form.Form) *form.Form {
	if had == nil {
		return f
	}
	out := *f
	out.Fields = slices.Clone(f.Fields)
	for i := range out.Fields {
		fd := &out.Fields[i]
		if v := had.Values(fd.Var); v != nil && fd.Type != "hidden" && fd.Type != "fixed" && fd.Type != "text-private" {
			fd.Values = v
		}
	}
	return &out
}

// step is XEP-0050 §2.4.2 and §2.4.3, with the meaning of actions in §3.4.
func (m *Commands) step(ctx context.Context, q *im.IQ, s *session, action string) (*elem.Element, error) {
	got := form.Read(q.Payload.Child(form.Space, "x"))
	last := s.stage == len(s.cmd.Stages)-1
	if got != nil && got.Type == "cancel" {
		action = cancel // XEP-0004 §3.1: the form was cancelled
	}
	switch {
	case action == cancel:
		return command(s.cmd.Node, s.call.ID, "canceled"), nil // always allowed (XEP-0050 §3.4)
	case action == execute && last:
		action = complete
	case action == execute:
		action = next
	}
	if action == prev && s.stage == 0 || action == next && last || action == complete && !last {
		m.open.put(s, m.now())
		return nil, badRequest("bad-action", "this action is not possible here; see <actions/>")
	}
	if action == prev {
		s.stage--
		return m.show(ctx, s)
	}
	if err := m.accept(ctx, s, got); err != nil {
		m.open.put(s, m.now()) // so that it can be mended
		return m.again(s, got, err)
	}
	if action == next {
		s.stage++
		return m.show(ctx, s)
	}
	out, err := m.run(ctx, s)
	if err != nil {
		return m.again(s, got, err)
	}
	return out, nil
}

// again shows a stage's form once more with what was written into it, if the
// error says that it can be mended there.
func (m *Commands) again(s *session, got *form.Form, err error) (*elem.Element, error) {
	mend, ok := errors.AsType[*im.Mend](err)
	if !ok {
		return nil, err
	}
	return executing(s, filled(s.shown, got)).Add(note("error", mend.Text)), nil
}

// accept takes a stage's submitted form.
func (m *Commands) accept(ctx context.Context, s *session, got *form.Form) error {
	if err := check(s.shown, got); err != nil {
		return err
	}
	s.call.Forms = append(s.call.Forms[:s.stage:s.stage], got)
	if f := s.cmd.Stages[s.stage].Check; f != nil {
		return f(ctx, &s.call)
	}
	return nil
}

func (m *Commands) run(ctx context.Context, s *session) (*elem.Element, error) {
	out, err := s.cmd.Run(ctx, &s.call)
	if err != nil {
		m.log.Info("adhoc: a command was refused", "node", s.cmd.Node, "by", s.call.Who.String(), "err", err)
		if len(s.cmd.Stages) > 0 {
			m.open.put(s, m.now())
		}
		return nil, err
	}
	m.log.Info("adhoc: a command was run", "node", s.cmd.Node, "by", s.call.Who.String())
	return completed(s.cmd.Node, s.call.ID, out), nil
}

// Owns says that a node is the list of commands or one of them.
func (m *Commands) Owns(node string) bool { return node == Space || m.byNode[node] != nil }

// NodeInfo is XEP-0050 §2.2 for the list and for a command.
func (m *Commands) NodeInfo(ctx context.Context, q *im.IQ, node string) (info vocab.Info, ok bool, err error) {
	if node == Space {
		return vocab.Info{
			Identities: []vocab.Identity{{Category: "automation", Type: "command-list", Name: "Commands"}},
			Features:   []string{Space, vocab.ItemsSpace},
		}, true, nil
	}
	if m.byNode[node] == nil {
		return info, false, nil
	}
	cmd, err := m.find(ctx, q, node)
	if err != nil {
		return info, false, err
	}
	return vocab.Info{
		Identities: []vocab.Identity{{Category: "automation", Type: "command-node", Name: cmd.Name}},
		Features:   []string{Space, form.Space},
	}, true, nil
}

// NodeItems lists the commands the asker may run (XEP-0050 §2.2).
func (m *Commands) NodeItems(ctx context.Context, q *im.IQ, node string) (items []*elem.Element, ok bool, err error) {
	if node != Space {
		_, ok, err := m.NodeInfo(ctx, q, node)
		return nil, ok, err
	}
	for _, cmd := range m.list {
		if cmd.Hidden {
			continue
		}
		ok, err := may(ctx, q, cmd)
		if err != nil {
			return nil, false, err
		}
		if ok {
			items = append(items, elem.New(vocab.ItemsSpace, "item", "jid", q.To.String(), "node", cmd.Node, "name", cmd.Name))
		}
	}
	return items, true, nil
}
