package c2s

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// upgradePrefix stands before the hash function in a task's name (XEP-0480 §2.1).
const upgradePrefix = "UPGR-SCRAM-"

// task is an upgrade under way.
type task struct {
	hash       sasl.Hash
	salt       []byte // nil until the client has begun
	iterations int
}

// upgrades are the hash functions somebody may have no keys for.
func (n *negotiation) upgrades() []sasl.Hash {
	if a := n.s.srv.conf.Upgrades; a != nil {
		return a.Lacking()
	}
	return nil
}

func (r *request) upgrading(h sasl.Hash) bool { return slices.Contains(r.upgrades, h) }

// nextTask tells the client of its next task, and says whether there is one. Only
// who has proven a password may add keys: they are as good as it, for ever.
func (r *request) nextTask(ctx context.Context) (bool, error) {
	n := r.n
	r.task = nil
	if !strings.HasPrefix(n.mech, "SCRAM-") {
		return false, nil // after PLAIN the server has made them itself
	}
	for len(r.upgrades) > 0 {
		h := r.upgrades[0]
		r.upgrades = r.upgrades[1:]
		if !slices.Contains(n.upgrades(), h) {
			continue
		}
		lacks, err := n.s.srv.conf.Upgrades.Lacks(ctx, n.exchange.JID(), h)
		if err != nil {
			return false, &sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "The server can't check your keys now.", Cause: err}
		}
		if lacks {
			r.task = &task{hash: h}
			return true, r.proceed()
		}
	}
	return false, nil
}

// proceed is <continue/> (XEP-0388 §2.6.3).
func (r *request) proceed() error {
	el := elem.New(stream.SASL2Space, "continue")
	if r.data != nil {
		el.Add(elem.New(stream.SASL2Space, "additional-data").SetText(base64.StdEncoding.EncodeToString(r.data)))
		r.data = nil // told
	}
	el.Add(elem.New(stream.SASL2Space, "tasks").Add(elem.New(stream.SASL2Space, "task").SetText(upgradePrefix + string(r.task.hash))))
	r.n.s.step = onTask
	return r.n.s.out.element(el.AppendTo(nil, stream.Client), 0)
}

// onTask waits for what a task needs of the client.
func onTask(s *Stream, ctx context.Context, raw *elem.Raw) error {
	if string(raw.Space) != stream.SASL2Space {
		return outOfTurn()
	}
	n, t := s.nego, s.nego.ask.task
	switch local := string(raw.Local); {
	case local == "abort":
		return n.refuse(sasl.Fail(sasl.Aborted, ""))
	case local == "next" && t.salt == nil:
		if string(attr(raw, "task")) != upgradePrefix+string(t.hash) {
			return n.refuse(sasl.Fail(sasl.MalformedRequest, "This is not the task that is due."))
		}
		return n.ask.salt()
	case local == "task-data" && t.salt != nil:
		el, err := raw.Element()
		if err != nil {
			return syntax(err)
		}
		return n.ask.keys(ctx, el)
	}
	return outOfTurn()
}

// salt tells what the keys are to be made with (XEP-0480 §3).
func (r *request) salt() error {
	t := r.task
	t.salt, t.iterations = r.n.s.srv.conf.Upgrades.Salt()
	el := elem.New(stream.SASL2Space, "task-data").Add(
		elem.New(stream.ScramUpgr, "salt", "iterations", strconv.Itoa(t.iterations)).SetText(base64.StdEncoding.EncodeToString(t.salt)))
	return r.n.s.out.element(el.AppendTo(nil, stream.Client), 0)
}

// keys takes the SaltedPassword (XEP-0480 §3).
func (r *request) keys(ctx context.Context, el *elem.Element) error {
	n, t := r.n, r.task
	var salted []byte
	if h := el.Child(stream.ScramUpgr, "hash"); h != nil {
		var err error
		if salted, err = sasl.Decode(strings.TrimSpace(h.Text)); err != nil {
			return n.refuse(err)
		}
	}
	k, err := sasl.FromSalted(t.hash, salted, t.salt, t.iterations)
	if err != nil {
		return n.refuse(&sasl.Failure{Condition: sasl.MalformedRequest, Text: "This is no salted password.", Cause: err})
	}
	if err := n.s.srv.conf.Upgrades.Add(ctx, n.exchange.JID(), t.hash, k, n.login); err != nil {
		return n.refuse(&sasl.Failure{Condition: sasl.TemporaryAuthFailure, Text: "The server can't keep these keys now.", Cause: err})
	}
	return r.step(ctx)
}
