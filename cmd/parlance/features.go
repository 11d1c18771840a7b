package main

import (
	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/server"
)

func featuresCommand() *cobra.Command {
	var doap bool
	c := &cobra.Command{
		Use:   "features",
		Short: "List the specifications this version implements",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if doap {
				return server.WriteDOAP(c.OutOrStdout())
			}
			return server.WriteSupport(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&doap, "doap", false, "as a DOAP file")
	return c
}
