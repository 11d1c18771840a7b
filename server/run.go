package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im/account"
)

// Options are what the command line adds to a Config.
type Options struct {
	Version    string // as `parlance version` prints it
	ConfigPath string // read again at each Reload; "" if there is no file
	Out        io.Writer
	Log        *slog.Logger
	Reload     <-chan os.Signal // SIGHUP; nil: never
	Level      *slog.LevelVar   // of Log, so that a reload can change it; nil: fixed
}

// Run serves until ctx ends.
//
// Start order: data set, path, listeners, so that nobody is let in before what
// he sends can be kept. Stop order: listeners and connections, path (what was
// accepted is finished), ledger (what nobody confirmed is written down), data set.
//
// An administrator's restart (XEP-0133 §4.30) does all this and begins again, with the
// configuration as it is in its file then, or with the old one if that has problems.
func Run(ctx context.Context, cfg *Config, o Options) error {
	for {
		err := serve(ctx, cfg, o, accountConfig(cfg), firstSteps)
		if err != errRestart { //nolint:errorlint // joined with another error it is no restart: something failed on the way
			return err
		}
		if o.ConfigPath == "" {
			continue
		}
		if next, err := Load(o.ConfigPath); err != nil {
			o.Log.Error("server: the configuration has problems; starting again with the one before", "err", err)
		} else {
			cfg = next
		}
	}
}

func accountConfig(c *Config) account.Config {
	life := c.Login.TokenLifetime.D()
	if life == 0 {
		life = -1
	}
	return account.Config{TokenLife: life, Iterations: c.Login.ScramIterations, MinPassword: c.Login.MinPassword,
		FailuresPerAccount: c.Login.FailuresPerAccount, FailuresPerSource: c.Login.FailuresPerSource}
}

// serve is what Run and Demo share; ready is called when the listeners are
// open, before they are served.
func serve(ctx context.Context, cfg *Config, o Options, ac account.Config,
	ready func(context.Context, *core, *edges, io.Writer) error) (err error) {
	boundMemory(o.Log)
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("server: data folder: %w", err)
	}
	c, err := openCore(ctx, cfg, o, ac)
	if err != nil {
		return unlessTold(ctx, err)
	}
	stop := c.run(ctx)
	defer func() {
		if failed := stop(); failed != nil {
			err = errors.Join(err, failed)
		}
	}()
	e, err := openEdges(ctx, c, o.Version)
	if err != nil {
		return unlessTold(ctx, err)
	}
	if err := ready(ctx, c, e, o.Out); err != nil {
		e.close()
		return unlessTold(ctx, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer c.stopping.arm(cancel)()
	var aside sync.WaitGroup
	defer aside.Wait()
	defer cancel(nil)
	aside.Go(func() { tidyMemory(ctx, e.files.Open) })
	look := watch{dir: cfg.Data, keys: e.keys, space: Space, now: time.Now, log: o.Log}
	aside.Go(func() { look.run(ctx) })
	live := reloader{path: o.ConfigPath, running: cfg, keys: e.keys, level: o.Level, log: o.Log, hosts: c.hosts}
	aside.Go(func() { live.run(ctx, o.Reload) })
	aside.Go(func() {
		select {
		case <-c.db.Failed(): // HARDENING F3: no acknowledgement ever again from this process
			cancel(c.db.Err())
		case <-ctx.Done():
		}
	})
	open, shut := context.WithCancel(context.WithoutCancel(ctx))
	defer shut()
	defer context.AfterFunc(ctx, func() { c.rooms.Stop(); shut() })() // people hear of it before their connections end
	err = e.run(open)
	if cause := c.db.Err(); cause != nil {
		return errors.Join(err, cause)
	}
	if err == nil && context.Cause(ctx) == errRestart { //nolint:errorlint // set by stopping and nobody else
		return errRestart
	}
	return err
}

// unlessTold is err, or nil if the start broke off because the server was told
// to stop: that is how it ends, not a failure.
func unlessTold(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// firstSteps tells where the server listens and, as long as there is nobody,
// how to make the first account.
func firstSteps(ctx context.Context, c *core, e *edges, out io.Writer) error {
	n, err := c.accounts.Count(ctx)
	if err != nil {
		return err
	}
	if n == 0 {
		if err := setupHint(ctx, c, out); err != nil {
			return err
		}
	}
	e.announce(out)
	return nil
}
