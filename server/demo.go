package server

import (
	"context"
	"io"
	"log/slog"
)

// DemoOptions are the flags of `parlance demo`.
type DemoOptions struct {
	Data           string // folder; "" for a fresh temporary one
	Domain         string
	HTTP           string // listen addresses; loopback only, port 0 lets the kernel choose
	C2S            string
	C2STLS         string
	PlaintextLogin bool
	Version        string
	Out            io.Writer
	Log            *slog.Logger
}

// Demo runs a sample company until ctx ends.
func Demo(_ context.Context, _ DemoOptions) error { return errNotWired }
