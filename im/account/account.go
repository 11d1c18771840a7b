package account

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
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
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

const defaultIterations = 10000

// Store keeps accounts. All methods may be called from any goroutine.
type Store struct {
	db     *store.DB
	conf   Config
	now    func() time.Time
	secret []byte // key of made-up salts; never changes
	shapes map[sasl.Hash]shape
	common map[string]bool // refused passwords, lower case; read only

	cache   *cache
	limiter *Limiter
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
	s := &Store{
		db: db, conf: c, now: c.Now,
		common:  map[string]bool{},
		cache:   newCache(4096),
		limiter: NewLimiter(c.FailuresPerAccount, c.FailuresPerSource, c.Now),
		// HARDENING A9: at most half the cores hash for logins.
		hashing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		revoked: map[jid.JID]time.Time{},
	}
	list, err := files.ReadFile("common.txt")
	if err != nil {
		return nil, fmt.Errorf("account: open: %w", err)
	}
	for line := range strings.Lines(string(list)) {
		s.common[strings.TrimSuffix(line, "\n")] = true
	}
	if s.secret, err = serverSecret(ctx, db); err != nil {
		return nil, fmt.Errorf("account: open: %w", err)
	}
	if s.shapes, err = s.commonShapes(ctx); err != nil {
		return nil, fmt.Errorf("account: open: %w", err)
	}
	return s, nil
}

// Limiter is the one Login uses, for edges that check secrets of their own.
func (s *Store) Limiter() *Limiter { return s.limiter }

const (
	sqlSettingGet = `SELECT value FROM setting WHERE name = $1`
	sqlSettingAdd = `INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
	secretName    = "account.fake-salt-key"
)

// serverSecret reads the key of made-up salts, and makes it at the first start.
func serverSecret(ctx context.Context, db *store.DB) (key []byte, err error) {
	get := func(tx *store.Tx) error { return tx.Row(sqlSettingGet, secretName).Scan(&key) }
	if err = db.Read(ctx, get); !errors.Is(err, store.ErrNoRows) {
		return key, err
	}
	fresh := make([]byte, 32)
	rand.Read(fresh) // never fails
	err = db.Write(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(sqlSettingAdd, secretName, fresh); err != nil {
			return err
		}
		return get(tx)
	})
	return key, err
}

// checkName demands a bare JID with a localpart.
func checkName(who jid.JID) error {
	if !who.IsBare() || who.Local() == "" {
		return ErrName
	}
	return nil
}
