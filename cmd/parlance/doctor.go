package main

import (
	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/server/doctor"
)

func doctorCommand() *cobra.Command {
	var file string
	var archive bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check configuration, certificate, DNS, storage, files, limits and clock",
		Long: "Look at the configuration and at this machine, and say what to do about what is found.\n" +
			"It changes nothing (a small file or object is written, read and removed), and it can run\n" +
			"beside the server. It ends with status 1 if something\n" +
			"would keep the server or its people from working. With --archive it also reads the whole\n" +
			"archive of a stopped server and makes every record's seal again: altered records show.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			world := doctor.Real()
			world.Archive = archive
			findings := doctor.Examine(c.Context(), world, file)
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
	c.Flags().BoolVar(&archive, "archive", false, "read the whole archive and check every record's seal")
	return c
}
