package main

import (
	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/server/doctor"
)

func doctorCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check configuration, certificate, DNS, storage, limits and clock",
		Long: "Look at the configuration and at this machine, and say what to do about what is found.\n" +
			"It changes nothing, and it can run beside the server. It ends with status 1 if something\n" +
			"would keep the server or its people from working.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			findings := doctor.Examine(c.Context(), doctor.Real(), file)
			if err := doctor.Write(c.OutOrStdout(), findings); err != nil {
				return err
			}
			if doctor.Worst(findings) == doctor.Bad {
				return errReported
			}
			return nil
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `FILE`")
	return c
}
