package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/bench"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure an XMPP server on this machine, this one or another",
		Long: `Measure an XMPP server on this machine, this one or another.

The people named by --user-pattern and --first must exist, with the same password.
Only loopback addresses are measured. With --pid, the server's CPU time and memory
are read from /proc, of its children too.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, w := range bench.Workloads() {
		c.AddCommand(workloadCommand(w))
	}
	return c
}

func workloadCommand(w bench.Workload) *cobra.Command {
	var o bench.Options
	var asJSON, silent bool
	c := &cobra.Command{
		Use:   w.Name,
		Short: "Measure " + w.About,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !silent {
				f, _ := c.ErrOrStderr().(*os.File) // a test's buffer is no terminal
				o.Progress = bench.NewProgress(c.ErrOrStderr(), f)
			}
			r, err := bench.Run(c.Context(), w, o)
			if err != nil {
				return err
			}
			if asJSON {
				return r.JSON(c.OutOrStdout())
			}
			return r.Table(c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.Addr, "addr", "127.0.0.1:5223", "the server's address")
	f.StringVar(&o.Domain, "domain", "", "the domain people log in to (default: the address's host)")
	f.StringVar(&o.TLS, "tls", bench.TLSDirect, "direct, starttls or none")
	f.StringVar(&o.Users, "user-pattern", "u%05d", "user names, with their number")
	f.IntVar(&o.First, "first", 0, "number of the first user")
	f.StringVar(&o.Password, "password", "", "the password of all of them")
	f.StringVar(&o.Mechanism, "mechanism", "", "SASL mechanism: PLAIN, SCRAM-SHA-1, SCRAM-SHA-256, FAST (default: PLAIN where offered)")
	f.IntSliceVar(&o.PIDs, "pid", nil, "the server's process, for its CPU and memory; may be given again")
	f.IntVar(&o.Sessions, "sessions", 0, "people logged in (default: the workload's)")
	f.IntVar(&o.Workers, "workers", 0, "logins at a time")
	f.DurationVar(&o.Length, "length", 0, "how long, at most")
	f.BoolVar(&asJSON, "json", false, "one line of JSON instead of a table")
	f.BoolVar(&silent, "silent", false, "no progress on standard error")
	workloadFlags(c, w.Name, &o)
	return c
}

// workloadFlags adds what only some workloads know.
func workloadFlags(c *cobra.Command, name string, o *bench.Options) {
	f := c.Flags()
	switch name {
	case "chat":
		f.IntVar(&o.Rate, "rate", 0, "messages a second")
		f.IntVar(&o.Window, "window", 0, "instead of a rate: a closed loop with so many messages under way in each pair")
		f.IntVar(&o.Count, "count", 0, "messages at most")
		c.MarkFlagsMutuallyExclusive("rate", "window")
	case "room":
		f.IntVar(&o.Rate, "rate", 0, "messages a second into the room")
		f.StringVar(&o.Room, "room", "", "address of the room (default: a new one, on the service the server offers)")
	case "idle", "presence":
		f.IntVar(&o.Contacts, "contacts", 0, "contacts of each person, for --befriend")
		f.BoolVar(&o.Befriend, "befriend", false, "make everybody a contact of others first")
	case "login":
		f.IntVar(&o.Count, "count", 0, "logins")
	case "archive":
		f.IntVar(&o.Fill, "fill", 0, "messages to put into the archives first")
		f.IntVar(&o.Window, "window", 0, "messages under way in each pair while filling")
		f.IntVar(&o.Pages, "pages", 0, "pages to read")
		f.IntVar(&o.Page, "page", 0, "messages on a page")
	}
}
