package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/parlance-im/parlance/admin/api"
	"github.com/parlance-im/parlance/admin/command"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/host"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// OpenAccounts finds the accounts for `parlance user`: in the server that runs
// on the configuration's data folder, or, if none does, in the data set itself.
func OpenAccounts(ctx context.Context, p command.Place) (command.Opened, error) {
	cfg, err := Load(p.Config)
	if err != nil {
		return command.Opened{}, err
	}
	if p.Data != "" {
		cfg.Data = p.Data
	}
	client, err := api.Dial(ctx, cfg.AdminSocket())
	if err == nil {
		return command.Opened{Accounts: client, Hosts: client.Hosts(), Devices: client.Devices(), Domain: client.Status.Domain, Close: func() error { client.Close(); return nil }}, nil
	}
	if !errors.Is(err, api.ErrNoServer) {
		return command.Opened{}, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return command.Opened{}, fmt.Errorf("server: data folder: %w", err)
	}
	// The whole core, not only its accounts: removing one removes its roster and block list too.
	c, err := openCore(ctx, cfg, Options{Log: slog.New(slog.DiscardHandler)}, accountConfig(cfg))
	if err != nil {
		return command.Opened{}, err
	}
	opened := command.Opened{Accounts: housed{c.accounts, c, p.Config != ""}, Hosts: operating{c.hosts}, Devices: c.accounts.Devices, Domain: cfg.Domain, Close: c.close}
	if p.Config == "" {
		// Without a file the domain is only a default: what the data set has counts more.
		first, err := c.accounts.List(ctx, "", 1)
		if err != nil {
			return command.Opened{}, errors.Join(err, c.close())
		}
		if len(first) > 0 {
			opened.Domain = first[0].JID.Domain()
		}
	}
	return opened, nil
}

// housed are the accounts of a stopped server, where nobody is added to a host that is not there.
type housed struct {
	*account.Store
	c     *core
	knows bool // a file says which the first host is
}

func (a housed) Create(ctx context.Context, who jid.JID, password string, o account.Options) error {
	if a.knows {
		if _, _, _, err := (operating{a.c.hosts}).find(ctx, who.DomainJID()); errors.Is(err, host.ErrNotFound) {
			return &account.Refused{Why: who.Domain() + " is no host of this server; add it with parlance host add"}
		} else if err != nil {
			return err
		}
	}
	return a.Store.Create(ctx, who, password, o)
}

// OpenRunning finds the running server for `parlance profile` and `parlance trace`.
func OpenRunning(ctx context.Context, p command.Place) (*api.Client, error) {
	cfg, err := Load(p.Config)
	if err != nil {
		return nil, err
	}
	if p.Data != "" {
		cfg.Data = p.Data
	}
	client, err := api.Dial(ctx, cfg.AdminSocket())
	if errors.Is(err, api.ErrNoServer) {
		return nil, fmt.Errorf("no server runs on %s", cfg.Data)
	}
	return client, err
}
