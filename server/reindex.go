package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/parlance-im/parlance/admin/api"
	"github.com/parlance-im/parlance/admin/command"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/store"
)

// Reindex makes the index of words of a stopped server's data set anew, for `parlance archive reindex`.
func Reindex(ctx context.Context, p command.Place, tell func(done, all int64)) (err error) {
	cfg, err := Load(p.Config)
	if err != nil {
		return err
	}
	if p.Data != "" {
		cfg.Data = p.Data
	}
	if client, err := api.Dial(ctx, cfg.AdminSocket()); err == nil {
		client.Close()
		return fmt.Errorf("a server runs on %s, which keeps its index itself: stop it first", cfg.Data)
	}
	if file, ok := strings.CutPrefix(cfg.DSN(), "sqlite:"); ok {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("there is no data set: %w", err)
		}
	}
	db, err := store.Open(ctx, store.Options{DSN: cfg.DSN(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Migrate(ctx, migrations()); err != nil {
		return err
	}
	return archive.Reword(ctx, db, tell)
}
