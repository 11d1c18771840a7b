package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/server"
)

func serveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server in the foreground until it is told to stop (SIGINT, SIGTERM). SIGHUP\n" +
			"reads configuration and certificate again: whole, or not at all if there is a problem.\n" +
			"Without --config it keeps everything in ./parlance-data, uses the defaults of\n" +
			"`parlance config example`, has no accounts and prints a one-time set-up token.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := server.Load(file)
			if err != nil {
				return err
			}
			level := new(slog.LevelVar)
			level.Set(cfg.LogLevel())
			hangup := make(chan os.Signal, 1)
			signal.Notify(hangup, syscall.SIGHUP)
			defer signal.Stop(hangup)
			return server.Run(c.Context(), cfg, server.Options{
				Version:    version,
				ConfigPath: file,
				Out:        c.OutOrStdout(),
				Log:        logger(cfg, level),
				Reload:     hangup,
				Level:      level,
			})
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `FILE`")
	return c
}

func demoCommand() *cobra.Command {
	o := server.DemoOptions{Version: version}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a sample company on this machine",
		Long: "Run a sample company in the foreground: alice, bob, carol, dave, erin and admin, all\n" +
			"with the password \"parlance\". It answers on loopback addresses only, because of that password.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Out = c.OutOrStdout()
			o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			return server.Demo(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Data, "data", "", "`DIR` that keeps the data (default: a fresh temporary one)")
	f.StringVar(&o.Domain, "domain", "acme.test", "the company's domain")
	f.StringVar(&o.HTTP, "http", "127.0.0.1:8443", "`ADDRESS` of the web client; port 0: any free one")
	f.StringVar(&o.C2S, "c2s", "127.0.0.1:5222", "`ADDRESS` for XMPP clients with STARTTLS")
	f.StringVar(&o.C2STLS, "c2s-tls", "127.0.0.1:5223", "`ADDRESS` for XMPP clients with direct TLS")
	f.BoolVar(&o.PlaintextLogin, "plaintext-login", false, "let clients log in without TLS, for test suites that can't do TLS")
	return c
}

func logger(cfg *server.Config, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}
