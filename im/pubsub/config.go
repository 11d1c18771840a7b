package pubsub

import (
	"slices"
	"strconv"

	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// field is one configuration option: how it is shown and how it is set.
type field struct {
	name, typ, label string
	show             func(*Config, Limits) []string
	// set takes what a form says; false: the value is none that is known.
	set func(*Config, []string, Limits) bool
	// options are the choices of a list.
	options []string
}

func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func first(v []string) string {
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

func flag(name, label string, at func(*Config) *bool) field {
	return field{name, "boolean", label,
		func(c *Config, _ Limits) []string {
			if *at(c) {
				return []string{"1"}
			}
			return []string{"0"}
		},
		func(c *Config, v []string, _ Limits) bool {
			switch first(v) { // XEP-0004 §3.3: xs:boolean
			case "1", "true":
				*at(c) = true
			case "0", "false":
				*at(c) = false
			default:
				return false
			}
			return true
		}, nil}
}

func text(name, label string, at func(*Config) *string) field {
	return field{name, "text-single", label,
		func(c *Config, _ Limits) []string { return one(*at(c)) },
		func(c *Config, v []string, l Limits) bool {
			if len(first(v)) > l.Text {
				return false
			}
			*at(c) = first(v)
			return true
		}, nil}
}

// language is a list of one: what languages there are is for a client to offer.
// XEP-0060 §5.4: the field should be list-single.
func language() field {
	f := text("pubsub#language", "The language of the node", func(c *Config) *string { return &c.Language })
	f.typ = "list-single"
	return f
}

func choice[T ~string](name, label string, at func(*Config) *T, known ...T) field {
	options := make([]string, len(known))
	for i, k := range known {
		options[i] = string(k)
	}
	return field{name, "list-single", label,
		func(c *Config, _ Limits) []string { return []string{string(*at(c))} },
		func(c *Config, v []string, _ Limits) bool {
			if !slices.Contains(known, T(first(v))) {
				return false
			}
			*at(c) = T(first(v))
			return true
		}, options}
}

// optional is a choice whose first value is what "" stands for.
func optional[T ~string](name, label string, at func(*Config) *T, known ...T) field {
	f := choice(name, label, at, known...)
	show, set := f.show, f.set
	f.show = func(c *Config, l Limits) []string {
		if *at(c) == "" {
			return []string{string(known[0])}
		}
		return show(c, l)
	}
	f.set = func(c *Config, v []string, l Limits) bool {
		ok := set(c, v, l)
		if *at(c) == known[0] {
			*at(c) = ""
		}
		return ok
	}
	return f
}

// fixed is an option that can't be other than it is.
func fixed(name, typ, label string, is ...string) field {
	return field{name, typ, label,
		func(*Config, Limits) []string { return is[:1] },
		func(_ *Config, v []string, _ Limits) bool { return slices.Contains(is, first(v)) }, nil}
}

// number is a count whose 0 is written "max" (XEP-0060 §16.4.3).
func number(name, label string, most func(Limits) int64, get func(*Config) int64, put func(*Config, int64)) field {
	return field{name, "text-single", label,
		func(c *Config, _ Limits) []string {
			if n := get(c); n > 0 {
				return []string{strconv.FormatInt(n, 10)}
			}
			return []string{"max"}
		},
		func(c *Config, v []string, l Limits) bool {
			if first(v) == "max" {
				put(c, 0)
				return true
			}
			n, err := strconv.ParseInt(first(v), 10, 64)
			limit := most(l)
			if err != nil || n < 0 || limit > 0 && n > limit {
				return false
			}
			if n == limit {
				n = 0 // the limit itself is what "max" means
			}
			put(c, n)
			return true
		}, nil}
}

// fields are the options of XEP-0060 §16.4.3 that are kept.
func fields() []field {
	return []field{
		text("pubsub#title", "A friendly name for the node", func(c *Config) *string { return &c.Title }),
		text("pubsub#description", "A description of the node", func(c *Config) *string { return &c.Description }),
		text("pubsub#type", "The namespace of the payloads", func(c *Config) *string { return &c.Type }),
		choice("pubsub#access_model", "Who may subscribe and retrieve items", func(c *Config) *Access { return &c.Access },
			Open, Presence, Roster, Authorize, Whitelist),
		{"pubsub#roster_groups_allowed", "list-multi", "The groups of contacts that may subscribe and retrieve items",
			func(c *Config, _ Limits) []string { return c.Groups },
			func(c *Config, v []string, l Limits) bool {
				if len(v) > l.Groups || slices.ContainsFunc(v, func(g string) bool { return len(g) > l.Text }) {
					return false
				}
				c.Groups = slices.Clone(v)
				return true
			}, nil},
		choice("pubsub#publish_model", "Who may publish", func(c *Config) *PublishModel { return &c.Publish }, Publishers, Subscribers, Anyone),
		flag("pubsub#persist_items", "Whether to keep items", func(c *Config) *bool { return &c.Persist }),
		number("pubsub#max_items", "How many items to keep", func(l Limits) int64 { return int64(l.Items) },
			func(c *Config) int64 { return int64(c.MaxItems) }, func(c *Config, n int64) { c.MaxItems = int(n) }),
		number("pubsub#item_expire", "Seconds after which an item goes", func(Limits) int64 { return maxExpire },
			func(c *Config) int64 { return c.Expire }, func(c *Config, n int64) { c.Expire = n }),
		flag("pubsub#deliver_notifications", "Whether to deliver event notifications", func(c *Config) *bool { return &c.Deliver }),
		flag("pubsub#deliver_payloads", "Whether to deliver payloads with them", func(c *Config) *bool { return &c.Payloads }),
		flag("pubsub#notify_config", "Whether to tell of changes of the configuration", func(c *Config) *bool { return &c.NotifyConfig }),
		flag("pubsub#notify_delete", "Whether to tell that the node is deleted", func(c *Config) *bool { return &c.NotifyDelete }),
		flag("pubsub#notify_retract", "Whether to tell of items that are removed", func(c *Config) *bool { return &c.NotifyRetract }),
		choice("pubsub#send_last_published_item", "When to send the last published item", func(c *Config) *SendLast { return &c.SendLast },
			Never, OnSub, OnSubAndPresence),
		{"pubsub#notification_type", "list-single", "The type of the messages that notify",
			func(c *Config, _ Limits) []string {
				if c.Normal {
					return []string{"normal"}
				}
				return []string{"headline"}
			},
			func(c *Config, v []string, _ Limits) bool {
				c.Normal = first(v) == "normal"
				return c.Normal || first(v) == "headline"
			}, []string{"normal", "headline"}},
		language(),
		{"pubsub#contact", "jid-multi", "Whom to ask about the node",
			func(c *Config, _ Limits) []string { return c.Contacts },
			func(c *Config, v []string, l Limits) bool {
				if len(v) > l.Groups || slices.ContainsFunc(v, func(s string) bool { _, err := jid.Parse(s); return err != nil }) {
					return false
				}
				c.Contacts = slices.Clone(v)
				return true
			}, nil},
		optional("pubsub#itemreply", "Whether items say who published them", func(c *Config) *ItemReply { return &c.Reply }, ReplyNone, ReplyPublisher),
		flag("pubsub#notify_sub", "Whether to tell owners who subscribes and unsubscribes", func(c *Config) *bool { return &c.NotifySub }),
		optional("pubsub#publish_node_full", "What to do with an item there is no room for", func(c *Config) *NodeFull { return &c.Full },
			RetractOldest, DiscardOldest, RejectNew),
		flag("pubsub#purge_offline", "Whether to delete all items when the account goes offline", func(c *Config) *bool { return &c.PurgeOffline }),
		flag("pubsub#tempsub", "Whether subscriptions end with the subscriber's presence", func(c *Config) *bool { return &c.TempSub }),
		{"pubsub#subscribe", "boolean", "Whether to allow subscriptions",
			func(c *Config, _ Limits) []string { return []string{truth(!c.NoSubscribe)} },
			func(c *Config, v []string, _ Limits) bool {
				is := first(v)
				c.NoSubscribe = is == "0" || is == "false"
				return c.NoSubscribe || is == "1" || is == "true"
			}, nil},
		// Events go to whoever is there, and nodes hold items: XEP-0060 §12.6, XEP-0248.
		fixed("pubsub#presence_based_delivery", "boolean", "Whether to deliver to those who are available only", "1", "true"),
		fixed("pubsub#node_type", "list-single", "The kind of node", "leaf"),
		// The service decides how much goes into an item; the form says it.
		{"pubsub#max_payload_size", "text-single", "The most bytes of a payload",
			func(_ *Config, l Limits) []string { return []string{strconv.Itoa(l.Payload)} },
			func(_ *Config, v []string, l Limits) bool {
				n, err := strconv.Atoi(first(v))
				return err == nil && n >= l.Payload
			}, nil},
	}
}

// maxExpire is a bound beyond which "never" is meant: a hundred years of seconds.
const maxExpire = 100 * 365 * 86400

// Form is the configuration as a data form (XEP-0060 §8.2.2).
func (c *Config) Form(typ string, l Limits) *form.Form {
	f := form.New(typ, ConfigForm)
	for _, fd := range fields() {
		if typ == "result" {
			fd.typ, fd.label, fd.options = "", "", nil
		}
		f.Add(fd.typ, fd.name, fd.label, fd.show(c, l)...)
		for _, o := range fd.options {
			at := &f.Fields[len(f.Fields)-1]
			at.Options = append(at.Options, form.Option{Value: o})
		}
	}
	return f
}

// Read changes the configuration as a submitted form says (XEP-0060 §8.2.4).
// Options that are not kept are passed over: no client relies on what it was not shown.
func (c *Config) Read(f *form.Form, l Limits) *stanza.Error {
	if f == nil || f.Type != "submit" || f.Kind() != ConfigForm {
		return stanza.Fail("bad-request", "a configuration is a submitted form of type "+ConfigForm)
	}
	for _, fd := range fields() {
		for i := range f.Fields {
			if f.Fields[i].Var == fd.name && !fd.set(c, f.Fields[i].Values, l) {
				return stanza.Fail("not-acceptable", "the value of "+fd.name+" is none that this server knows or allows")
			}
		}
	}
	return nil
}

// Apply makes a configuration of publish-options for a node that is about to be
// made; Meets says whether one that exists is as they say. An option that is not
// known is one nothing meets (XEP-0060 §7.1.5).
func (c *Config) Apply(options *form.Form, l Limits) *stanza.Error {
	return c.options(options, func(fd *field, v []string) bool { return fd.set(c, v, l) })
}

// Meets is the check of publish-options against what is there.
func (c *Config) Meets(options *form.Form, l Limits) *stanza.Error {
	return c.options(options, func(fd *field, v []string) bool {
		asked := *c
		return fd.set(&asked, v, l) && sameValues(fd.show(&asked, l), fd.show(c, l))
	})
}

func sameValues(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func (c *Config) options(f *form.Form, each func(*field, []string) bool) *stanza.Error {
	if f == nil || f.Type != "submit" || f.Kind() != OptionsForm {
		return stanza.Fail("bad-request", "publish-options are a submitted form of type "+OptionsForm)
	}
	known := fields()
	for i := range f.Fields {
		name := f.Fields[i].Var
		if name == "FORM_TYPE" {
			continue
		}
		at := slices.IndexFunc(known, func(fd field) bool { return fd.name == name })
		if at < 0 || !each(&known[at], f.Fields[i].Values) {
			return errPrecondition
		}
	}
	return nil
}
