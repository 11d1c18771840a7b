package server

import (
	"context"
	"fmt"
	"io"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// setupHint prints how to make the first account, and the token that lets
// somebody do it over the web who can't run commands on this machine.
func setupHint(ctx context.Context, c *core, out io.Writer) error {
	first, err := jid.New("admin", c.domain.Domain(), "")
	if err != nil {
		return fmt.Errorf("server: set-up: %w", err)
	}
	token, err := c.accounts.MintToken(ctx, jid.JID{}, account.Setup, account.SetupTTL)
	if err != nil {
		return fmt.Errorf("server: set-up: %w", err)
	}
	_, err = fmt.Fprintf(out, "There are no accounts yet. On this machine:\n"+
		"  parlance user add --admin %s\n"+
		"From elsewhere, once and within %d minutes, POST /api/v1/setup with this token:\n"+
		"  set-up token %s\n", first, int(account.SetupTTL.Minutes()), token)
	return err
}
