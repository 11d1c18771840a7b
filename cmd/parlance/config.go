package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/server"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show an example configuration, or check one",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		&cobra.Command{
			Use:   "example",
			Short: "Print a configuration with every key, its default and what it is for",
			Args:  cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := c.OutOrStdout().Write(server.Example())
				return err
			},
		},
		&cobra.Command{
			Use:   "check FILE",
			Short: "Say everything that is wrong with a configuration",
			Args:  cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				if _, err := server.Load(args[0]); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: no problems found\n", args[0])
				return nil
			},
		},
	)
	return c
}
