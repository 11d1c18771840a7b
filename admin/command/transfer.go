package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/admin/transfer"
)

// Closer ends what an opener has opened.
type Closer = func() error

// DataOpener opens the data of a stopped server.
type DataOpener func(ctx context.Context, p Place) (transfer.Data, Closer, error)

// Export is `parlance export`.
func Export(open DataOpener) *cobra.Command {
	var p Place
	var o transfer.Options
	c := &cobra.Command{
		Use:   "export DIR",
		Short: "Write all accounts with rosters, cards and archives to files (XEP-0227)",
		Long: "Write all accounts with their keys, rosters, cards, block lists and archives to a folder, in the\n" +
			"format that other servers read too (XEP-0227). The server must be stopped. The files hold\n" +
			"what people expect to be protected: only their owner can read them.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return carry(c, open, p, o, "exported", func(ctx context.Context, d transfer.Data, o transfer.Options) (transfer.Sum, error) {
				return transfer.Export(ctx, d, args[0], o)
			})
		},
	}
	transferFlags(c, &p)
	c.Flags().BoolVar(&o.Flat, "flat", false, "one whole document for each account, as prosody's xep0227 storage has them")
	return c
}

// Import is `parlance import`.
func Import(open DataOpener) *cobra.Command {
	var p Place
	var o transfer.Options
	c := &cobra.Command{
		Use:   "import DIR",
		Short: "Read accounts with rosters, cards and archives from files (XEP-0227)",
		Long: "Read accounts with their keys, rosters, cards, block lists and archives from a folder that\n" +
			"`parlance export` or another server has written (XEP-0227). The server must be stopped.\n" +
			"What is there already stays; the command can be run again after it broke off.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return carry(c, open, p, o, "imported", func(ctx context.Context, d transfer.Data, o transfer.Options) (transfer.Sum, error) {
				return transfer.Import(ctx, d, args[0], o)
			})
		},
	}
	transferFlags(c, &p)
	c.Flags().StringVar(&o.Scratch, "scratch", os.TempDir(), "folder with room for the messages once more, while they are sorted")
	return c
}

func transferFlags(c *cobra.Command, p *Place) {
	c.Flags().StringVar(&p.Config, "config", "", "configuration `FILE`")
	c.Flags().StringVar(&p.Data, "data", "", "data folder `DIR` (default: the configured one)")
	c.Flags().StringVar(&p.Domain, "domain", "", "the `DOMAIN` of the accounts (default: the configured one)")
}

// carry opens the data around one direction, and tells how it goes.
func carry(c *cobra.Command, open DataOpener, p Place, o transfer.Options, what string,
	do func(context.Context, transfer.Data, transfer.Options) (transfer.Sum, error)) (err error) {
	d, closer, err := open(c.Context(), p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	next := time.Now().Add(5 * time.Second)
	o.Progress = func(s transfer.Sum) {
		if now := time.Now(); now.After(next) {
			next = now.Add(5 * time.Second)
			fmt.Fprintf(c.ErrOrStderr(), "%s, %s\n", number(s.Accounts, "account"), number(s.Messages, "message"))
		}
	}
	sum, err := do(c.Context(), d, o)
	fmt.Fprintf(c.OutOrStdout(), "%s: %s, %s, %s, %d of them waiting, %s in %s, %s\n", what,
		number(sum.Accounts, "account"), number(sum.Contacts, "contact"), number(sum.Messages, "message"), sum.Waiting,
		number(sum.Items, "item"), number(sum.Nodes, "node"), number(sum.Rooms, "room"))
	if sum.There > 0 {
		fmt.Fprintf(c.OutOrStdout(), "%s there before, with their passwords unchanged\n", number(sum.There, "account"))
	}
	for _, k := range slices.Sorted(maps.Keys(sum.Left)) {
		fmt.Fprintf(c.OutOrStdout(), "left out: %s (%d)\n", k, sum.Left[k])
	}
	return err
}
