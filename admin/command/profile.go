package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/admin/api"
)

// Running finds the server that runs on a place.
type Running func(ctx context.Context, p Place) (*api.Client, error)

// Profile is `parlance profile`. open finds the running server.
func Profile(open Running) *cobra.Command {
	var place Place
	var seconds int
	var out string
	var long strings.Builder
	var names []string
	kinds := api.ProfileKinds()
	for _, k := range kinds {
		names = append(names, k.Name)
		fmt.Fprintf(&long, "  %-10s %s\n", k.Name, k.Tells)
	}
	c := &cobra.Command{
		Use:   "profile " + strings.Join(names, "|"),
		Short: "Take a profile of the running server",
		Long: "Take a profile of the running server over its admin socket, for `go tool pprof`.\n\n" + long.String() +
			"\nIt costs the server about a hundredth of its speed while it runs.",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: names,
		RunE: func(c *cobra.Command, args []string) error {
			kind := kinds[0]
			for _, k := range kinds {
				if k.Name == args[0] {
					kind = k
				}
			}
			if c.Flags().Changed("seconds") {
				kind.Watch = time.Duration(seconds) * time.Second
			}
			if out == "" {
				out = kind.Name + ".pprof"
			}
			p, err := open(c.Context(), place)
			if err != nil {
				return err
			}
			defer p.Close()
			return profileTo(c, p, kind, out)
		},
	}
	f := c.Flags()
	placeFlags(c, &place)
	f.IntVar(&seconds, "seconds", 0, "how long to watch (default: 30 for cpu, mutex and block, else what there is at this moment)")
	f.StringVar(&out, "out", "", "`FILE` to write; - is standard output (default: the kind's name and .pprof)")
	return c
}

// profileTo leaves no file behind when there is no profile.
func profileTo(c *cobra.Command, p *api.Client, kind api.ProfileKind, out string) error {
	if out == "-" {
		return p.Profile(c.Context(), kind.Name, kind.Watch, c.OutOrStdout())
	}
	file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(p.Profile(c.Context(), kind.Name, kind.Watch, file), file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(out))
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s profile in %s; look at it with: go tool pprof -top %s\n", kind.Name, out, out)
	return err
}

func placeFlags(c *cobra.Command, p *Place) {
	c.Flags().StringVar(&p.Config, "config", "", "configuration `FILE`")
	c.Flags().StringVar(&p.Data, "data", "", "data folder `DIR` (default: the configured one)")
}
