package metric

import (
	"log/slog"
	"time"

	"github.com/parlance-im/parlance/im/meter"
)

// Sources are where the numbers come from.
type Sources struct {
	Version string
	Meter   *meter.Meter
	Traffic map[string]*meter.Traffic // by listener
	State   func() State
	Log     *slog.Logger // of failed scrapes; nil: none
}

// State is how the server stands at the moment of a scrape.
type State struct {
	Accounts    int // with at least one session: people online
	Connected   int // sessions with a connection
	Hibernating int // sessions that wait to be resumed

	TCP, WebSocket  int // XMPP connections
	Parked          int // of them, held without a goroutine
	Unauthenticated int // connections that are not logged in yet
	Open            int // connections of any kind

	ArchivePosition uint64 // sequence number of the newest message handed out
	Unconfirmed     int    // messages no session has confirmed yet
	Parkings        uint64 // waiting rows written because nobody confirmed in time
	Settlements     uint64 // waiting rows struck out because somebody did

	StoreQueue int   // writes that wait for the store's writer
	StoreBytes int64 // on disk; negative: not known
	WALPages   int
	Poisoned   bool // the data set takes no writes any more

	DiskFree, DiskSize int64 // of the data folder's file system; negative: not known

	Certificate time.Time // until when it is valid
}
