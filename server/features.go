package server

import (
	"context"
	"time"

	"github.com/parlance-im/parlance/feature/adhoc"
	"github.com/parlance-im/parlance/feature/avatar"
	"github.com/parlance-im/parlance/feature/bookmark"
	"github.com/parlance-im/parlance/feature/disco"
	"github.com/parlance-im/parlance/feature/displayed"
	"github.com/parlance-im/parlance/feature/last"
	"github.com/parlance-im/parlance/feature/ping"
	"github.com/parlance-im/parlance/feature/private"
	"github.com/parlance-im/parlance/feature/serviceadmin"
	"github.com/parlance-im/parlance/feature/setup"
	clock "github.com/parlance-im/parlance/feature/time"
	"github.com/parlance-im/parlance/feature/upload"
	"github.com/parlance-im/parlance/feature/vcard"
	"github.com/parlance-im/parlance/feature/version"
	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/im/carbon"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/file"
	"github.com/parlance-im/parlance/im/host"
	"github.com/parlance-im/parlance/im/pep"
	"github.com/parlance-im/parlance/im/preference"
	"github.com/parlance-im/parlance/im/presence"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/search"
	"github.com/parlance-im/parlance/im/visit"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// features is the list of all features. Their order means nothing: whatever
// has an order is a line in im/deliver or policy.go.
func features(c *core, v string) ([]im.Feature, *disco.Disco) {
	all := []im.Feature{
		archive.Feature(c.archive, c.routes),
		avatar.Feature(),
		block.Feature(c.blocks, hiding{c}),
		bookmark.Feature(),
		carbon.Feature(),
		ownDevices(c),
		deliver.Feature(),
		displayed.Feature(),
		last.Feature(last.Config{Started: time.Now(), Now: time.Now, Online: c.presence.Online,
			Seen: c.presence.LastSeen, MaySee: c.presence.MaySee}),
		pep.Feature(c.personal),
		preference.Feature(c.wishes),
		ping.Feature(),
		private.Feature(c.db, map[elem.Name]private.Mount{bookmark.Storage(): bookmark.Private{Personal: c.personal}}),
		room.Feature(),
		roster.Feature(c.rosters, c.presence),
		setup.Feature(c.accounts, c.domain.Domain(), c.log),
		clock.Feature(time.Now),
		vcard.Feature(c.db, c.avatars),
		version.Feature(v),
		serviceadmin.Feature(c.administration()),
		registration(c, c.cfg).Feature(),
		invitations(c),
		directory(c),
		callServices(c),
	}
	if c.cfg.uploads() {
		all = append(all, upload.Feature(upload.Config{Files: c.files, Base: c.base, Keep: c.cfg.Files.Keep.D(), Now: time.Now, Log: c.log}))
	}
	if c.cfg.Nodes.Create {
		all = append(all, pep.Service(c.personal, func(who jid.JID) bool { return c.guests == nil || !c.guests.Is(who) }))
	}
	commands := adhoc.New(adhoc.Config{Features: all, Log: c.log, Account: pep.Command(c.personal)})
	all = append(all, commands.Feature(), contacts(), portable())
	d := disco.New(disco.Config{Name: c.cfg.Name, Features: all, MaySee: c.presence.MaySee, Guest: c.guests.Is, Nodes: commands, Personal: c.personal.Requests(), Shared: c.cfg.Nodes.Create, Of: c.hosts.says})
	return append(all, d.Feature()), d
}

// migrations are the tables of all packages that own some.
func migrations() []store.Migrations {
	return []store.Migrations{
		account.Migrations(),
		host.Migrations(),
		archive.Migrations(),
		roster.Migrations(),
		block.Migrations(),
		preference.Migrations(),
		presence.Migrations(),
		room.Migrations(),
		search.Migrations(),
		vcard.Migrations(),
		pubsub.Migrations(),
		private.Migrations(),
		file.Migrations(),
		visit.Migrations(),
		serviceadmin.Migrations(),
	}
}

// forget removes what belongs to an account when it is removed. The archive
// and the files stay: the record is not the account's.
func (c *core) forget(_ context.Context, tx *store.Tx, who jid.JID) error {
	for _, f := range []func(*store.Tx, jid.JID) error{
		c.rosters.Forget, c.blocks.Forget, c.wishes.Forget, presence.Forget, room.Forget, vcard.Forget, c.visits.Forget, private.Forget, c.personal.Nodes().Forget, c.archive.Forget,
	} {
		if err := f(tx, who); err != nil {
			return err
		}
	}
	return nil
}
