package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
)

// Options are what the command line adds to a Config.
type Options struct {
	Version    string // as `parlance version` prints it
	ConfigPath string // read again on SIGHUP; "" if there is no file
	Out        io.Writer
	Log        *slog.Logger
}

var errNotWired = errors.New("server: not wired yet")

// Run serves until ctx ends.
func Run(_ context.Context, _ *Config, _ Options) error { return errNotWired }
