package main

import (
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/server"
)

func repairCommand() *cobra.Command {
	var file string
	var accept bool
	c := &cobra.Command{
		Use:   "repair",
		Short: "Mend the data set of a stopped server",
		Long: "Mend what can be mended of a stopped server's data set, and say what can't be. Records whose\n" +
			"content was altered go into quarantine; what finds records is made again from them. Where the\n" +
			"archive ends before what was acknowledged (a file is missing, or an old copy was put back), nothing\n" +
			"is done about that unless --accept-loss says so. Keep a copy of the folder first. It ends with\n" +
			"status 1 if the data set is not whole afterwards.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := server.Load(file)
			if err != nil {
				return err
			}
			err = server.Repair(c.Context(), cfg, server.RepairOptions{AcceptLoss: accept, Out: c.OutOrStdout(), Log: logger(cfg, new(slog.LevelVar))})
			if errors.Is(err, server.ErrNotWhole) {
				return errReported
			}
			return err
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `FILE`")
	c.Flags().BoolVar(&accept, "accept-loss", false, "go on without the messages that are missing at the archive's end")
	return c
}
