package account

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
)

//go:embed migrations/*.sql common.txt
var files embed.FS

// Migrations is the schema of this package's tables.
func Migrations() store.Migrations {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		return store.Migrations{Name: "account", FS: files} // cannot happen: the folder is embedded
	}
	return store.Migrations{Name: "account", FS: sub}
}

var (
	// ErrNotFound says that there is no such account.
	ErrNotFound = errors.New("account: no such account")
	// ErrExists says that the account is there already.
	ErrExists = errors.New("account: the account exists already")
	// ErrName says that the address can't be an account's.
	ErrName = errors.New("account: an account is named like user@domain")
)

// Account is a person as the operator sees them.
type Account struct {
	JID      jid.JID // bare
	Name     string
	Disabled bool
	Admin    bool
	Created  time.Time
}

// Config says how a Store works. The zero value is what a real server uses.
type Config struct {
	// Iterations of PBKDF2 for newly set passwords; 0: 10,000 (XEP-0438 §4).
	Iterations int
	// MinPassword is the shortest password that can be set, in characters;
	// 0: 12. Less than 8 becomes 8.
	MinPassword int
	// AnyPassword switches the rules for passwords off. Only the demo does.
	AnyPassword bool
	// FailuresPerAccount and FailuresPerSource bound wrong passwords in 10
	// minutes; 0: 20 and 60 (HARDENING A8).
	FailuresPerAccount int
	FailuresPerSource  int
	// TokenKey is what tokens of devices are made with; 32 random bytes, kept
	// outside the data set. Empty: one that this process forgets with its end.
	TokenKey []byte
	// TokenLife is how long such a token lives; 0: DefaultTokenLife, below 0: there are none.
	TokenLife time.Duration
	// Guests are let in without an account; nil: nobody is.
	Guests *Guests
	// MinOf is MinPassword for one host; nil: all have the same.
	MinOf func(domain string) int
	// Operators are accounts that administer every host.
	Operators []jid.JID
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

const defaultIterations = 10000

// Store keeps accounts. All methods may be called from any goroutine.
type Store struct {
	Devices  *Devices
	Upgrades *Upgrades
	Invites  *Invites

	db    *store.DB
	conf  Config
	now   func() time.Time
	fake  faker
	rules rules

	lacking lacking
	cache   *cache
	limiter *Limiter
	sources sources
	hashing chan struct{} // one slot per PBKDF2 that may run for a login

	mu       sync.Mutex
	onRevoke []func(jid.JID)                                   // owner: mu
	onRemove []func(context.Context, *store.Tx, jid.JID) error // owner: mu
	revoked  map[jid.JID]time.Time                             // owner: mu; the last few minutes
}

// New opens the accounts of db, whose schema must be up to date.
func New(ctx context.Context, db *store.DB, c Config) (*Store, error) {
	if c.Iterations == 0 {
		c.Iterations = defaultIterations
	}
	if c.MinPassword == 0 {
		c.MinPassword = 12
	}
	c.MinPassword = max(c.MinPassword, 8)
	if c.Now == nil {
		c.Now = time.Now
	}
	c.TokenLife = cmp.Or(c.TokenLife, DefaultTokenLife)
	if len(c.TokenKey) == 0 {
		c.TokenKey = make([]byte, 32)
		rand.Read(c.TokenKey) // never fails
	}
	s := &Store{
		db: db, conf: c, now: c.Now,
		cache:   newCache(4096),
		limiter: NewLimiter(c.FailuresPerAccount, c.FailuresPerSource, c.Now),
		// HARDENING A9: at most half the cores hash for logins.
		hashing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		revoked: map[jid.JID]time.Time{},
	}
	s.Devices, s.Upgrades, s.Invites = &Devices{s: s}, &Upgrades{s}, &Invites{s}
	var err error
	if s.rules, err = newRules(c); err != nil {
		return nil, fmt.Errorf("account: open: %w", err)
	}
	if s.fake, err = newFaker(ctx, db, c.Iterations); err != nil {
		return nil, fmt.Errorf("account: open: %w", err)
	}
	s.sources = sources{db, s.limiter, s.fake.secret, c.Now}
	if err = s.lacking.read(ctx, db); err != nil {
		return nil, fmt.Errorf("account: open: %w", err)
	}
	return s, nil
}

// checkName demands a bare JID with a localpart.
func checkName(who jid.JID) error {
	if !who.IsBare() || who.Local() == "" {
		return ErrName
	}
	return nil
}
