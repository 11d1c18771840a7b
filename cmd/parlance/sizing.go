package main

import (
	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/bench/sizing"
)

func sizingCommand() *cobra.Command {
	o := sizing.Default(1000)
	var asJSON bool
	c := &cobra.Command{
		Use:   "sizing",
		Short: "Say how much CPU, memory, disk and bandwidth a company needs",
		Long: `Say how much CPU, memory, disk and bandwidth a company needs: measured figures
times what is assumed about its people, each with its formula.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := sizing.Stored()
			if err != nil {
				return err
			}
			n, err := sizing.Compute(f, o)
			if err != nil {
				return err
			}
			if asJSON {
				return n.JSON(c.OutOrStdout())
			}
			return n.Table(c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.IntVar(&o.Users, "users", o.Users, "people with an account")
	f.Float64Var(&o.Active, "active", o.Active, "per cent of them signed in at the busiest time")
	f.Float64Var(&o.Devices, "devices", o.Devices, "devices of each at a time")
	f.Float64Var(&o.Messages, "messages", o.Messages, "messages an active person sends in an hour")
	f.Float64Var(&o.Hours, "hours", o.Hours, "such hours a day")
	f.Float64Var(&o.Days, "days", o.Days, "such days a year")
	f.Float64Var(&o.Changes, "presence", o.Changes, "changes of an active person's presence in an hour")
	f.Float64Var(&o.Contacts, "contacts", o.Contacts, "contacts of each")
	f.Float64Var(&o.Pages, "pages", o.Pages, "archive pages an active person reads in an hour")
	f.Float64Var(&o.Peak, "peak", o.Peak, "the busiest minute, as a multiple of the average")
	f.Float64Var(&o.Extra, "extra-bytes", o.Extra, "bytes of a message beyond the measured one (a sentence)")
	f.Float64Var(&o.Rush, "rush", o.Rush, "minutes in which everybody signs in")
	f.Float64Var(&o.Years, "years", o.Years, "years that messages are kept")
	f.Float64Var(&o.Headroom, "headroom", o.Headroom, "share of the cores that may be busy at the peak")
	f.BoolVar(&asJSON, "json", false, "one line of JSON instead of a table")
	return c
}
