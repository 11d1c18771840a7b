package pubsub

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// SubscribeForm is the FORM_TYPE of subscription options (XEP-0060 §16.4.2).
const SubscribeForm = Space + "#subscribe_options"

// Options are what a subscriber wants of its subscription. The zero value is
// what it has if it says nothing: everything, always.
type Options struct {
	Quiet    bool     `json:"quiet,omitempty"`    // pubsub#deliver is false
	Shows    []string `json:"shows,omitempty"`    // pubsub#show-values; nil: all
	Until    int64    `json:"until,omitempty"`    // when a lease ends, microseconds; 0: never
	Presence bool     `json:"presence,omitempty"` // it ends with the subscriber's presence
}

// shows are the values of pubsub#show-values: "online" is a presence without <show/>.
func shows() []string { return []string{"away", "chat", "dnd", "online", "xa"} }

// Wants says whether a notification is to go to a resource with that <show/>.
func (o *Options) Wants(show string) bool {
	if show == "" {
		show = "online"
	}
	return !o.Quiet && (o.Shows == nil || slices.Contains(o.Shows, show))
}

func (o *Options) isZero() bool { return !o.Quiet && o.Shows == nil && o.Until == 0 && !o.Presence }

// over says that the lease has ended (XEP-0060 §12.19).
func (o *Options) over(now time.Time) bool { return o.Until > 0 && o.Until <= now.UnixMicro() }

// encode is the column's text.
func (o *Options) encode() (string, error) {
	if o.isZero() {
		return "", nil
	}
	b, err := json.Marshal(o)
	return string(b), err
}

func decodeOptions(text string) (o Options, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &o)
	}
	return o, err
}

func truth(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// Form is the options as a data form. XEP-0060 §12.8: pubsub#include_body is not
// offered, because payloads are not turned into text; digests are not made.
func (o *Options) Form(typ string) *form.Form {
	f := form.New(typ, SubscribeForm)
	f.Add("boolean", "pubsub#deliver", "Whether to deliver notifications", truth(!o.Quiet))
	expire := []string(nil)
	switch {
	case o.Presence: // XEP-0060 §12.5
		expire = []string{"presence"}
	case o.Until > 0:
		expire = []string{stanza.Stamp(time.UnixMicro(o.Until))}
	}
	f.Add("text-single", "pubsub#expire", "When the subscription ends: a time, or “presence”", expire...)
	values := o.Shows
	if values == nil {
		values = shows()
	}
	f.Add("list-multi", "pubsub#show-values", "The presence in which to deliver", values...)
	last := &f.Fields[len(f.Fields)-1]
	for _, s := range shows() {
		last.Options = append(last.Options, form.Option{Value: s})
	}
	if typ == "result" {
		for i := range f.Fields {
			f.Fields[i].Type, f.Fields[i].Label, f.Fields[i].Options = "", "", nil
		}
	}
	return f
}

// errOptions is XEP-0060 §6.3.6.2.
var errOptions = fail("bad-request", "invalid-options", "these subscription options are not known, or not possible")

// Read changes the options as a submitted form says (XEP-0060 §6.3.5). One this
// service does not have can be set to what it is anyway.
func (o *Options) Read(f *form.Form, now time.Time) *stanza.Error {
	if f == nil || f.Type != "submit" || f.Kind() != SubscribeForm {
		return errOptions
	}
	for i := range f.Fields {
		if fd := &f.Fields[i]; fd.Var != "FORM_TYPE" && !o.set(fd, now) {
			return errOptions
		}
	}
	return nil
}

func (o *Options) set(fd *form.Field, now time.Time) bool {
	v := first(fd.Values)
	is := v == "1" || v == "true"
	boolean := is || v == "0" || v == "false" // XEP-0004 §3.3: xs:boolean
	switch fd.Var {
	case "pubsub#deliver":
		o.Quiet = !is
		return boolean
	case "pubsub#digest", "pubsub#include_body":
		return boolean && !is
	case "pubsub#subscription_type": // leaf nodes have items only (XEP-0248)
		return v == "items"
	case "pubsub#subscription_depth":
		return v == "1"
	case "pubsub#show-values":
		return o.setShows(fd.Values)
	case "pubsub#expire":
		return o.setExpire(v, now)
	}
	return false
}

func (o *Options) setShows(values []string) bool {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	if slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(shows(), v) }) {
		return false
	}
	if o.Shows = values; len(values) == len(shows()) {
		o.Shows = nil
	}
	if o.Shows == nil && len(values) == 0 {
		o.Shows = []string{} // in no presence at all
	}
	return true
}

// setExpire takes a time to come (XEP-0082 §3.2), "presence", or nothing.
func (o *Options) setExpire(v string, now time.Time) bool {
	o.Until, o.Presence = 0, v == "presence"
	if v == "" || o.Presence {
		return true
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil || !t.After(now) || t.Year() > 9999 {
		return false
	}
	o.Until = t.UnixMicro()
	return true
}

// subscribed is the subscription whose options a request is about (XEP-0060 §6.3.4).
func subscribed(rq *request, n *Node) (*Subscription, error) {
	text := rq.el.Attr("jid")
	if text == "" {
		return nil, fail("bad-request", "jid-required", "the request names no subscriber") // XEP-0060 §6.3.4.3
	}
	who, err := jid.Parse(text)
	if err != nil || who.Bare() != rq.who.Bare() {
		return nil, errForbidden // XEP-0060 §6.3.4.1
	}
	if s := n.find(who); s != nil {
		return s, nil
	}
	// XEP-0060 §6.3.4.2
	return nil, fail("unexpected-request", "not-subscribed", "there is no such subscription").WithType("modify")
}

// options is XEP-0060 §6.3.2.
func (rq *request) options() (*elem.Element, error) {
	n, err := rq.node()
	if err != nil {
		return nil, err
	}
	s, err := subscribed(rq, n)
	if err != nil {
		return nil, err
	}
	out := elem.New(Space, "options", "node", n.Name, "jid", s.JID.String()).Add(s.Options.Form("form").Element())
	return elem.New(Space, "pubsub").Add(out), nil
}

// setOptions is XEP-0060 §6.3.5.
func (rq *request) setOptions() error {
	name := rq.el.Attr("node")
	if name == "" {
		return errNodeID
	}
	x := form.Read(rq.el.Child(form.Space, "x"))
	if x != nil && x.Type == "cancel" {
		return nil
	}
	return rq.Store.Do(rq.ctx, rq.service, rq.who, func(w *Writing) error {
		n, err := w.Node(name)
		if err != nil {
			return err
		}
		if n == nil {
			return errNoNode // XEP-0060 §6.3.4.7
		}
		s, err := subscribed(rq, n)
		if err != nil {
			return err
		}
		o := s.Options
		if refusal := o.Read(x, w.st.cfg.Now()); refusal != nil {
			return refusal
		}
		return w.SetOptions(n, s.JID, o)
	})
}

// defaultOptions is XEP-0060 §6.4: the same for all nodes, but that those of a
// node with pubsub#tempsub end with the presence.
func (rq *request) defaultOptions() (*elem.Element, error) {
	out, o := elem.New(Space, "default"), Options{}
	if name := rq.el.Attr("node"); name != "" {
		n, err := rq.node()
		if err != nil {
			return nil, err
		}
		if n.Reads(rq.who, rq.rel) == errForbidden {
			return nil, errForbidden
		}
		out.Set("node", name)
		o.Presence = n.Config.TempSub
	}
	return elem.New(Space, "pubsub").Add(out.Add(o.Form("form").Element())), nil
}

// asked are the options that come with a request to subscribe, nil if there are
// none (XEP-0060 §6.3.7).
func asked(rq *request) (*form.Form, error) {
	e := rq.iq.Payload.Child(Space, "options")
	if e == nil {
		return nil, nil
	}
	_, node := e.Lookup("node")
	_, who := e.Lookup("jid")
	x := form.Read(e.Child(form.Space, "x"))
	if node || who || x == nil {
		return nil, errOptions
	}
	return x, nil
}

// SetOptions gives a subscription other options.
func (w *Writing) SetOptions(n *Node, who jid.JID, o Options) error {
	o.Presence = o.Presence || n.Config.TempSub && o.Until == 0 // XEP-0060 §12.5
	text, err := o.encode()
	if err != nil {
		return err
	}
	temporary := 0
	if o.Presence {
		temporary = 1
		w.tell(Change{Kind: Borrowed, Node: n, Whom: who})
	}
	w.altered = true
	if _, err := w.tx.Exec(sqlOptions, w.service.String(), n.Name, who.String(), text, temporary); err != nil {
		return err
	}
	if s := n.find(who); s != nil {
		s.Options = o
	}
	return nil
}
