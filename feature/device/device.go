package device

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Nodes of the commands.
const (
	List   = "https://parlance.im/commands#devices"
	Revoke = "https://parlance.im/commands#revoke-device"
)

// Devices are the devices of accounts; im/account.Devices meets it.
type Devices interface {
	List(ctx context.Context, who jid.JID) ([]account.Known, error)
	Revoke(ctx context.Context, who jid.JID, device string) error
}

// Config is what the commands run on.
type Config struct {
	Devices Devices
	Member  func(ctx context.Context, who jid.JID) (bool, error) // has an account
	Of      func(full jid.JID) string                            // the device of a session; "" if nobody knows
}

// Feature is both commands.
func Feature(c Config) im.Feature {
	return im.Feature{Name: "device", Commands: []im.Command{
		{Node: List, Name: "Show where you are signed in", May: c.may, Run: c.list},
		{Node: Revoke, Name: "Sign a device out", May: c.may, Stages: []im.Stage{{Form: c.ask}}, Run: c.revoke},
	}}
}

// may: guests stay signed in nowhere, and people of elsewhere not here.
func (c Config) may(ctx context.Context, host, who jid.JID) (bool, error) {
	if who.Domain() != host.Domain() {
		return false, nil
	}
	return c.Member(ctx, who.Bare())
}

func (c Config) list(ctx context.Context, call *im.Call) (*im.Outcome, error) {
	known, err := c.Devices.List(ctx, call.Who.Bare())
	if err != nil {
		return nil, err
	}
	if len(known) == 0 {
		return im.Done("You are signed in nowhere without your password."), nil
	}
	f := form.New("result", List)
	f.Title = "Where you are signed in"
	for _, col := range [][2]string{{"device", "Device"}, {"name", "What it is"}, {"here", "In use here"}, {"created", "Since"}, {"used", "Last used"}, {"expires", "Good until"}} {
		f.Reported = append(f.Reported, form.Field{Var: col[0], Label: col[1], Type: "text-single"})
	}
	here := c.Of(call.Who)
	for _, k := range known {
		mark := ""
		if k.ID == here {
			mark = "yes"
		}
		var row []form.Field
		for i, v := range []string{k.ID, said(k), mark, at(k.Created), at(k.Used), at(k.Expires)} {
			row = append(row, form.Field{Var: f.Reported[i].Var, Values: []string{v}})
		}
		f.Items = append(f.Items, row)
	}
	return &im.Outcome{Form: f}, nil
}

// ask lets the person choose among their own.
func (c Config) ask(ctx context.Context, call *im.Call) (*form.Form, error) {
	known, err := c.Devices.List(ctx, call.Who.Bare())
	if err != nil {
		return nil, err
	}
	if len(known) == 0 {
		return nil, stanza.Fail("item-not-found", "you are signed in nowhere without your password")
	}
	here := c.Of(call.Who)
	fd := form.Field{Var: "device", Type: "list-single", Label: "Device", Required: true}
	for _, k := range known {
		label := said(k) + ", since " + at(k.Created)
		if k.ID == here {
			label += " (this one)"
		}
		fd.Options = append(fd.Options, form.Option{Label: label, Value: k.ID})
	}
	f := form.New("form", Revoke)
	f.Title, f.Instructions = "Sign a device out", "It can sign in again with your password only. If it was stolen, change that too."
	f.Fields = append(f.Fields, fd)
	return f, nil
}

func (c Config) revoke(ctx context.Context, call *im.Call) (*im.Outcome, error) {
	err := c.Devices.Revoke(ctx, call.Who.Bare(), call.Value("device"))
	if errors.Is(err, account.ErrNotFound) {
		return nil, stanza.Fail("item-not-found", "this device is signed out already")
	}
	if err != nil {
		return nil, err
	}
	return im.Done("This device is signed out."), nil
}

// said is what a device says of itself.
func said(k account.Known) string {
	if s := strings.TrimSpace(k.Software + " " + k.Name); s != "" {
		return s
	}
	return k.ID
}

// at writes a time as XEP-0082 §3 has it, to the second; "" for none.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
