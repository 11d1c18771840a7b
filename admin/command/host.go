package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/im/host"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Hosts is what the commands do; the server and api.HostClient both do it.
type Hosts interface {
	List(ctx context.Context) ([]host.State, error)
	Show(ctx context.Context, at jid.JID) (host.State, error)
	Add(ctx context.Context, at jid.JID, set host.Settings) error
	Set(ctx context.Context, at jid.JID, c host.Change) error
	Disable(ctx context.Context, at jid.JID, disabled bool, notice string) error
	Remove(ctx context.Context, at jid.JID, r host.Removal) error
}

// Host is `parlance host`.
func Host(open Opener) *cobra.Command {
	u := &users{open: open}
	c := &cobra.Command{
		Use:   "host",
		Short: "Add, change and remove the domains of the server",
		Long: "Add, change and remove domains beside the one of the configuration file. A running server\n" +
			"does it at once, without touching its other hosts; else the data is opened directly.\n" +
			"What is not set on a host is as in the configuration file.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&u.place.Config, "config", "", "configuration `FILE`")
	c.PersistentFlags().StringVar(&u.place.Data, "data", "", "data folder `DIR` (default: the configured one)")
	c.AddCommand(u.hostList(), u.hostShow(), u.hostAdd(), u.hostSet(), u.hostDisable(), u.hostEnable(), u.hostRemove())
	return c
}

// at opens the hosts and says which one an argument means.
func (u *users) at(c *cobra.Command, name string, f func(h Hosts, at jid.JID) error) error {
	j, err := jid.Parse(name)
	if err != nil || !j.IsDomain() {
		return fmt.Errorf("%q is not a domain: write only the part behind the @, like \"example.com\"", name)
	}
	return u.with(c.Context(), func(o Opened) error {
		err := f(o.Hosts, j)
		refused, ok := errors.AsType[*host.Refused](err)
		switch {
		case errors.Is(err, host.ErrNotFound):
			return fmt.Errorf("there is no host %s", j)
		case errors.Is(err, host.ErrExists):
			return fmt.Errorf("%s exists already", j)
		case ok:
			return errors.New(refused.Why)
		}
		return err
	})
}

func (u *users) hostList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List all hosts", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return u.with(c.Context(), func(o Opened) error {
				list, err := o.Hosts.List(c.Context())
				for _, h := range list {
					if err == nil {
						_, err = fmt.Fprintf(c.OutOrStdout(), "%-32s\t%-8s\t%d accounts\t%d sessions\n", h.Name, mark(h), h.Accounts, h.Sessions)
					}
				}
				return err
			})
		},
	}
}

func mark(h host.State) string {
	switch {
	case h.Home:
		return "home"
	case h.Disabled:
		return "disabled"
	case h.Broken != "":
		return "broken"
	}
	return "-"
}

func (u *users) hostShow() *cobra.Command {
	return &cobra.Command{
		Use: "show HOST", Short: "Show a host and what can be set on it; * is set on this one", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return u.at(c, args[0], func(h Hosts, at jid.JID) error {
				st, err := h.Show(c.Context(), at)
				if err != nil {
					return err
				}
				w := bufio.NewWriter(c.OutOrStdout())
				fmt.Fprintf(w, "%s\t%s\n%d accounts, %d sessions\n", st.Name, mark(st), st.Accounts, st.Sessions)
				if st.Rooms != "" {
					fmt.Fprintf(w, "rooms at %s\n", st.Rooms)
				}
				if !st.Until.IsZero() {
					fmt.Fprintf(w, "certificate until %s\n", st.Until.Format("2006-01-02"))
				}
				if st.Broken != "" {
					fmt.Fprintf(w, "not served: %s\n", st.Broken)
				}
				for _, s := range st.Settings {
					own := " "
					if s.Own {
						own = "*"
					}
					fmt.Fprintf(w, "%s %s = %s\n", own, s.Key, s.Value)
				}
				return w.Flush()
			})
		},
	}
}

// pairs reads KEY=VALUE arguments.
func pairs(args []string) (host.Settings, error) {
	set := host.Settings{}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is not KEY=VALUE", a)
		}
		set[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return set, nil
}

func (u *users) hostAdd() *cobra.Command {
	return &cobra.Command{
		Use:   "add HOST [KEY=VALUE ...]",
		Short: "Add a host, with its rooms and a certificate",
		Long: "Add a host. Without tls.cert and tls.key it shows the server's certificate if that names the\n" +
			"host, else one signed by an own authority (DATA/hosts/HOST/ca.pem). Accounts that were there\n" +
			"before the host was removed are there again.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			set, err := pairs(args[1:])
			if err != nil {
				return err
			}
			return u.at(c, args[0], func(h Hosts, at jid.JID) error {
				if err := h.Add(c.Context(), at, set); err != nil {
					return err
				}
				return say(c, "added %s", at)
			})
		},
	}
}

func (u *users) hostSet() *cobra.Command {
	var unset []string
	c := &cobra.Command{
		Use:   "set HOST [KEY=VALUE ...] [--unset KEY]",
		Short: "Set something differently on a host; lists have commas",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			set, err := pairs(args[1:])
			if err != nil {
				return err
			}
			if len(set)+len(unset) == 0 {
				return errors.New("nothing to change: give KEY=VALUE or --unset KEY")
			}
			return u.at(c, args[0], func(h Hosts, at jid.JID) error {
				if err := h.Set(c.Context(), at, host.Change{Set: set, Unset: unset}); err != nil {
					return err
				}
				return say(c, "changed %s", at)
			})
		},
	}
	c.Flags().StringArrayVar(&unset, "unset", nil, "let `KEY` be as in the configuration file again")
	return c
}

func (u *users) hostDisable() *cobra.Command {
	var notice string
	c := &cobra.Command{
		Use: "disable HOST", Short: "Stop serving a host for now; its sessions end, all it has stays", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return u.at(c, args[0], func(h Hosts, at jid.JID) error {
				if err := h.Disable(c.Context(), at, true, notice); err != nil {
					return err
				}
				return say(c, "disabled %s", at)
			})
		},
	}
	noticeFlag(c, &notice)
	return c
}

func (u *users) hostEnable() *cobra.Command {
	return &cobra.Command{
		Use: "enable HOST", Short: "Serve a disabled host again", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return u.at(c, args[0], func(h Hosts, at jid.JID) error {
				if err := h.Disable(c.Context(), at, false, ""); err != nil {
					return err
				}
				return say(c, "enabled %s", at)
			})
		},
	}
}

func (u *users) hostRemove() *cobra.Command {
	var sure bool
	var r host.Removal
	c := &cobra.Command{
		Use:   "remove HOST",
		Short: "Remove a host and end its sessions; accounts and rooms stay unless --purge",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return u.at(c, args[0], func(h Hosts, at jid.JID) error {
				if _, err := h.Show(c.Context(), at); err != nil {
					return err
				}
				if !sure && !confirmed(c, at) {
					return errors.New("nothing removed")
				}
				if err := h.Remove(c.Context(), at, r); err != nil {
					return err
				}
				return say(c, "removed %s", at)
			})
		},
	}
	c.Flags().BoolVar(&sure, "yes", false, "do not ask")
	c.Flags().BoolVar(&r.Purge, "purge", false, "remove its accounts, contacts and rooms too; the archive is kept")
	noticeFlag(c, &r.Notice)
	return c
}

func noticeFlag(c *cobra.Command, v *string) {
	c.Flags().StringVar(v, "notice", "", "`TEXT` for the people who are there, before their sessions end")
}
