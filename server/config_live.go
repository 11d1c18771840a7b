package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/parlance-im/parlance/edge"
)

// reloader applies a changed configuration to a running server. All its fields
// belong to the goroutine of run.
type reloader struct {
	path    string // "": there is no file, only the certificate is read again
	running *Config
	keys    *edge.Keys
	level   *slog.LevelVar // nil: the log's level can't change
	log     *slog.Logger
	hosts   *hosts // nil: there is but one
}

// run reloads at each signal until ctx ends. What it refuses leaves everything as it was.
func (r *reloader) run(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		changed, err := r.apply()
		if err != nil {
			r.log.Error("reload refused", "err", err)
			continue
		}
		r.log.Info("reloaded", "changed", changed, "certificate_until", r.keys.Leaf().NotAfter.Format(time.DateOnly))
	}
}

// apply does it whole or not at all: what can fail comes before what is seen.
func (r *reloader) apply() (changed []string, err error) {
	next := r.running
	if r.path != "" {
		if next, changed, err = Reload(r.running, r.path); err != nil {
			return nil, err
		}
	}
	// Always, for a renewed certificate usually has the same file names.
	cert, err := certificate(next, time.Now())
	if err != nil {
		return nil, err
	}
	if err := fresh(cert.Leaf, next.Domain, time.Now()); err != nil {
		return nil, fmt.Errorf("server: certificate: %w; the one in use is kept", err)
	}
	if err := r.keys.Set(cert); err != nil {
		return nil, fmt.Errorf("server: certificate: %w", err)
	}
	if r.level != nil {
		r.level.Set(next.LogLevel())
	}
	if r.hosts != nil {
		r.hosts.reload(context.Background(), next)
	}
	r.running = next
	return changed, nil
}

// fresh refuses a certificate that clients would: to go on with the old one is better (HARDENING F27).
func fresh(leaf *x509.Certificate, domain string, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the new one has ended on %s", leaf.NotAfter.UTC().Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the new one is valid from %s only", leaf.NotBefore.UTC().Format(time.DateTime))
	}
	return leaf.VerifyHostname(domain)
}
