package server

import (
	"context"
	"time"

	"github.com/parlance-im/parlance/admin/metric"
)

// scrapeTime bounds what a scrape asks the database.
const scrapeTime = 2 * time.Second

// sources is where the metrics page has its numbers from.
func (e *edges) sources(version string) metric.Sources {
	return metric.Sources{Version: version, Meter: e.core.meter, Traffic: e.traffic, State: e.state, Log: e.core.log}
}

// state counts what is not counted as it goes.
func (e *edges) state() metric.State {
	c := e.core
	st := metric.State{
		WebSocket: e.c2s.Framed(), Parked: e.c2s.Idle().Parked(), Unauthenticated: e.gate.Inside(), Open: e.files.Open(),
		ArchivePosition: c.routes.Fanned().Seq(), StoreBytes: -1,
	}
	st.TCP = e.c2s.Connections() - st.WebSocket
	st.Accounts, st.Connected, st.Hibernating = c.routes.Census()
	st.Unconfirmed, st.Parkings, st.Settlements = c.ledger.Counts()
	db := c.db.Stats()
	st.StoreQueue, st.WALPages, st.Poisoned = db.Queue, db.WALPages, c.db.Err() != nil
	ctx, cancel := context.WithTimeout(e.live, scrapeTime)
	defer cancel()
	if n, err := c.db.Size(ctx); err == nil {
		st.StoreBytes = n
	}
	st.DiskFree, st.DiskSize = disk(c.cfg.Data)
	if leaf := e.keys.Leaf(); leaf != nil {
		st.Certificate = leaf.NotAfter
	}
	return st
}
