package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// tokenKeyFile is what tokens of devices are made with, beside a row of the data
// set. Whoever has one of the two, a copy of the database for example, has no
// token. If it is lost, people log in with their passwords once.
const tokenKeyFile = "token.key"

// tokenKey reads it, and makes it at the first start.
func tokenKey(dir string) ([]byte, error) {
	key, err := os.ReadFile(filepath.Join(dir, tokenKeyFile))
	switch {
	case err == nil && len(key) >= 32:
		return key, nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("server: key of tokens: %w", err)
	}
	key = make([]byte, 32)
	rand.Read(key) // never fails
	if err := keep(dir, tokenKeyFile, key); err != nil {
		return nil, fmt.Errorf("server: key of tokens: %w", err)
	}
	return key, nil
}

// authorities are those whose certificates let people in; nil if there are none.
func authorities(c *Config) (*edge.Authorities, error) {
	if c.Login.ClientCA == "" {
		return nil, nil
	}
	roots, err := os.ReadFile(c.Login.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("server: login.client_ca: %w", err)
	}
	a, err := edge.NewAuthorities(roots, c.Login.ClientCRL)
	if err != nil {
		return nil, fmt.Errorf("server: login.client_ca: %w", err)
	}
	return a, nil
}

// begin prepares a session bound with XEP-0386: its client reads the archive by
// itself, so that nothing waits for it, and earlier sessions of the same device
// are over (XEP-0386 §3.2). What it gives is the archive as it stands.
func (c *core) begin(ctx context.Context, s *session.Session) *elem.Element {
	upto := c.routes.Fanned()
	s.Switch(func(f *session.Flags) { f.Archive, f.ArchivePos = true, upto })
	if d := s.Device(); d != "" && !account.Browser(d) { // a browser's tabs are beside each other
		c.endDevice(ctx, s.JID().Bare(), d, s, session.Conflict("this device has signed in again"))
	}
	about, err := archive.Metadata(ctx, c.archive, s.JID().Bare())
	if err != nil {
		c.log.Warn("server: a session is not told of its archive", "err", err)
	}
	return about
}

// endDevice ends the sessions of a device but one.
func (c *core) endDevice(ctx context.Context, who jid.JID, device string, but *session.Session, reason *stream.Error) {
	for _, s := range c.routes.Sessions(who) {
		if s != but && s.Device() == device {
			s.Kick(reason)
			c.path.End(ctx, s)
		}
	}
}
