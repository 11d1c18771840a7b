package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Accounts is what the commands do; account.Store and api.Client both do it.
type Accounts interface {
	Get(ctx context.Context, who jid.JID) (account.Account, error)
	List(ctx context.Context, after string, n int) ([]account.Account, error)
	Create(ctx context.Context, who jid.JID, password string, o account.Options) error
	SetPassword(ctx context.Context, who jid.JID, password string) error
	Disable(ctx context.Context, who jid.JID, disabled bool) error
	SetAdmin(ctx context.Context, who jid.JID, admin bool) error
	SetName(ctx context.Context, who jid.JID, name string) error
	Remove(ctx context.Context, who jid.JID) error
	Import(ctx context.Context, r io.Reader, o account.Import) (account.Progress, error)
}

// Opened is where a command works.
type Opened struct {
	Accounts Accounts
	Hosts    Hosts
	Devices  Devices
	Domain   string // of user names without one
	Close    func() error
}

// Place is what the flags say.
type Place struct {
	Config string // configuration file; "" for none
	Data   string // data folder; "" for the configured one
	Domain string // of the accounts; "" for the configured one
}

// Opener finds the accounts: a running server's, or the store of a stopped one.
type Opener func(ctx context.Context, p Place) (Opened, error)

// users is one invocation.
type users struct {
	open  Opener
	place Place
}

// User is `parlance user`. open is called once a command has its arguments.
func User(open Opener) *cobra.Command {
	u := &users{open: open}
	c := &cobra.Command{
		Use:   "user",
		Short: "Add, list and change accounts",
		Long: "Add, list and change accounts. Where a server runs on the data folder it does the work\n" +
			"(and ends the sessions of who is locked out); else the data is opened directly.\n" +
			"USER is a name like alice, or an address like alice@example.com.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&u.place.Config, "config", "", "configuration `FILE`")
	c.PersistentFlags().StringVar(&u.place.Data, "data", "", "data folder `DIR` (default: the configured one)")
	c.AddCommand(u.add(), u.list(), u.passwd(), u.set(), u.disable(), u.enable(), u.remove(), u.load())
	return c
}

// with opens the accounts around f.
func (u *users) with(ctx context.Context, f func(Opened) error) (err error) {
	o, err := u.open(ctx, u.place)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	return f(o)
}

// on opens the accounts and says whom the first argument means.
func (u *users) on(c *cobra.Command, name string, f func(o Opened, who jid.JID) error) error {
	return u.with(c.Context(), func(o Opened) error {
		who, err := o.address(name)
		if err != nil {
			return err
		}
		return plain(who, f(o, who))
	})
}

// address reads a USER argument.
func (o Opened) address(name string) (jid.JID, error) {
	j, err := jid.New(name, o.Domain, "")
	if err != nil {
		j, err = jid.Parse(name)
	}
	if err != nil || !j.IsBare() || j.Local() == "" {
		return jid.JID{}, fmt.Errorf("%q can't be the name of an account", name)
	}
	return j, nil
}

// plain says errors in the words of who typed the command.
func plain(who jid.JID, err error) error {
	refused, ok := errors.AsType[*account.Refused](err)
	switch {
	case errors.Is(err, account.ErrNotFound):
		return fmt.Errorf("there is no account %s", who)
	case errors.Is(err, account.ErrExists):
		return fmt.Errorf("%s exists already", who)
	case ok:
		return errors.New(refused.Why)
	}
	return err
}

func (u *users) add() *cobra.Command {
	var o account.Options
	var stdin bool
	c := &cobra.Command{
		Use:   "add USER",
		Short: "Add an account; asks for its password",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return u.on(c, args[0], func(at Opened, who jid.JID) error {
				// Nobody should think of a password for an account that is there.
				if _, err := at.Accounts.Get(c.Context(), who); err == nil {
					return account.ErrExists
				}
				pw, err := password(c, stdin, who)
				if err != nil {
					return err
				}
				if err := at.Accounts.Create(c.Context(), who, pw, o); err != nil {
					return err
				}
				return say(c, "added %s", who)
			})
		},
	}
	c.Flags().StringVar(&o.Name, "name", "", "how the person is called")
	c.Flags().BoolVar(&o.Admin, "admin", false, "may administer the server")
	stdinFlag(c, &stdin)
	return c
}

func (u *users) passwd() *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use:   "passwd USER",
		Short: "Set a password and end the person's sessions",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return u.on(c, args[0], func(at Opened, who jid.JID) error {
				if _, err := at.Accounts.Get(c.Context(), who); err != nil {
					return err
				}
				pw, err := password(c, stdin, who)
				if err != nil {
					return err
				}
				if err := at.Accounts.SetPassword(c.Context(), who, pw); err != nil {
					return err
				}
				return say(c, "password of %s set", who)
			})
		},
	}
	stdinFlag(c, &stdin)
	return c
}

func (u *users) set() *cobra.Command {
	var name string
	var admin bool
	c := &cobra.Command{
		Use:   "set USER [--name NAME] [--admin=true|false]",
		Short: "Change a person's name or rights",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			named, ranked := c.Flags().Changed("name"), c.Flags().Changed("admin")
			if !named && !ranked {
				return errors.New("nothing to change: give --name or --admin")
			}
			return u.on(c, args[0], func(at Opened, who jid.JID) (err error) {
				if named {
					err = at.Accounts.SetName(c.Context(), who, name)
				}
				if err == nil && ranked {
					err = at.Accounts.SetAdmin(c.Context(), who, admin)
				}
				if err != nil {
					return err
				}
				return say(c, "changed %s", who)
			})
		},
	}
	c.Flags().StringVar(&name, "name", "", "how the person is called")
	c.Flags().BoolVar(&admin, "admin", false, "may administer the server")
	return c
}

func (u *users) disable() *cobra.Command {
	return u.toggle("disable USER", "Lock an account out and end its sessions; what it owns stays", true, "disabled %s")
}

func (u *users) enable() *cobra.Command {
	return u.toggle("enable USER", "Let a disabled account in again", false, "enabled %s")
}

func (u *users) toggle(use, short string, disabled bool, done string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return u.on(c, args[0], func(at Opened, who jid.JID) error {
				if err := at.Accounts.Disable(c.Context(), who, disabled); err != nil {
					return err
				}
				return say(c, done, who)
			})
		},
	}
}

func (u *users) remove() *cobra.Command {
	var sure bool
	c := &cobra.Command{
		Use:   "remove USER",
		Short: "Remove an account, its contacts and its sessions; the archive is kept",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return u.on(c, args[0], func(at Opened, who jid.JID) error {
				if _, err := at.Accounts.Get(c.Context(), who); err != nil {
					return err
				}
				if !sure && !confirmed(c, who) {
					return errors.New("nothing removed")
				}
				if err := at.Accounts.Remove(c.Context(), who); err != nil {
					return err
				}
				return say(c, "removed %s", who)
			})
		},
	}
	c.Flags().BoolVar(&sure, "yes", false, "do not ask")
	return c
}

func (u *users) list() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all accounts",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return u.with(c.Context(), func(o Opened) error { return listAll(c, o.Accounts) })
		},
	}
}

// listAll prints page by page: a line an account, tabs between its columns.
func listAll(c *cobra.Command, a Accounts) error {
	after := ""
	for {
		page, err := a.List(c.Context(), after, 500)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			mark := "-"
			switch {
			case p.Disabled:
				mark = "disabled"
			case p.Admin:
				mark = "admin"
			}
			line := fmt.Sprintf("%-32s\t%-8s\t%s\t%s", p.JID, mark, p.Created.Format("2006-01-02"), p.Name)
			if _, err := fmt.Fprintln(c.OutOrStdout(), line); err != nil {
				return err
			}
			after = p.JID.String()
		}
	}
}

func say(c *cobra.Command, format string, who jid.JID) error {
	_, err := fmt.Fprintf(c.OutOrStdout(), format+"\n", who)
	return err
}
