package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Devices is what `parlance device` does; account.Devices and api.Devices both do it.
type Devices interface {
	List(ctx context.Context, who jid.JID) ([]account.Known, error)
	Revoke(ctx context.Context, who jid.JID, device string) error
}

// Device is `parlance device`.
func Device(open Opener) *cobra.Command {
	u := &users{open: open}
	c := &cobra.Command{
		Use:   "device",
		Short: "List and revoke the devices a person stays signed in on",
		Long: "List and revoke the devices a person stays signed in on: clients that have a token instead\n" +
			"of the password, and browsers. Revoking one ends its sessions too. Who knows the password can\n" +
			"sign in again: where a device was stolen, set another one (parlance user passwd).",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&u.place.Config, "config", "", "configuration `FILE`")
	c.PersistentFlags().StringVar(&u.place.Data, "data", "", "data folder `DIR` (default: the configured one)")
	c.AddCommand(u.deviceList(), u.deviceRevoke())
	return c
}

func (u *users) deviceList() *cobra.Command {
	return &cobra.Command{
		Use:   "list USER",
		Short: "List a person's devices, with their ids",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return u.on(c, args[0], func(at Opened, who jid.JID) error {
				if _, err := at.Accounts.Get(c.Context(), who); err != nil {
					return err
				}
				list, err := at.Devices.List(c.Context(), who)
				if err != nil {
					return err
				}
				if len(list) == 0 {
					return say(c, "%s is signed in nowhere without the password", who)
				}
				w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "DEVICE\tWHAT\tSINCE\tLAST USED\tGOOD UNTIL")
				for _, k := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", printable(k.ID), printable(what(k.Device)), day(k.Created), day(k.Used), day(k.Expires))
				}
				return w.Flush()
			})
		},
	}
}

func (u *users) deviceRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke USER [DEVICE]",
		Short: "Sign a device out for good; without DEVICE all of them",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			return u.on(c, args[0], func(at Opened, who jid.JID) error {
				if _, err := at.Accounts.Get(c.Context(), who); err != nil {
					return err
				}
				if len(args) == 2 {
					err := at.Devices.Revoke(c.Context(), who, args[1])
					if errors.Is(err, account.ErrNotFound) {
						return fmt.Errorf("%s has no device %q: parlance device list %s shows what there is", who, args[1], who.Local())
					}
					if err != nil {
						return err
					}
					return say(c, fmt.Sprintf("revoked %s of %%s", printable(args[1])), who)
				}
				list, err := at.Devices.List(c.Context(), who)
				if err != nil {
					return err
				}
				for _, k := range list {
					// One that has gone meanwhile is what was wanted.
					if err := at.Devices.Revoke(c.Context(), who, k.ID); err != nil && !errors.Is(err, account.ErrNotFound) {
						return err
					}
				}
				return say(c, fmt.Sprintf("revoked %d devices of %%s", len(list)), who)
			})
		},
	}
}

// what describes a device in its own words.
func what(d account.Device) string {
	if said := strings.TrimSpace(d.Software + " " + d.Name); said != "" {
		return said
	}
	return "-"
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// printable is what a terminal must not obey: a client says of itself what it likes.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
