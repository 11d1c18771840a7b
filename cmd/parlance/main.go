package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/admin/command"
	"github.com/parlance-im/parlance/server"
)

func main() { os.Exit(run()) }

// run is main with an exit status, so that tests can call it as a command.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errReported) {
			fmt.Fprintln(os.Stderr, "parlance:", err)
		}
		return 1
	}
	return 0
}

// errReported ends a command with status 1 after it has printed what is wrong itself.
var errReported = errors.New("already reported")

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "parlance",
		Short:         "Parlance, the instant messenger a company runs itself",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	c.AddCommand(serveCommand(), demoCommand(), command.User(server.OpenAccounts), command.Host(server.OpenAccounts), command.Device(server.OpenAccounts), command.Profile(server.OpenRunning), command.Trace(server.OpenRunning),
		command.Export(server.OpenData), command.Import(server.OpenData), command.Archive(server.Reindex),
		configCommand(), doctorCommand(), repairCommand(), featuresCommand(), benchCommand(), sizingCommand(), versionCommand())
	return c
}
