package account

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	window     = 10 * time.Minute
	maxTracked = 1 << 16 // entries per table
	knownFor   = 30 * 24 * time.Hour
)

// Limiter counts wrong passwords (HARDENING A8): per account over all sources
// that have never logged in to it, per source over all accounts, and apart from
// both for a source that has logged in to the account before. An attacker can
// therefore not lock an owner out of a device they use.
//
// Each count is a leaky bucket that holds half of what is allowed in 10 minutes
// and empties at that pace, so that no 10 minutes see more than allowed. Counts
// live in memory: a restart forgets them; which source is known for an account
// it does not forget (known.go). Memory is bounded; a full table drops what is
// over first.
type Limiter struct {
	now        func() time.Time
	seed       maphash.Seed
	perAccount bucket
	perSource  bucket

	mu       sync.Mutex
	accounts map[uint64]time.Time     // owner: mu; when the bucket is empty again
	sources  map[netip.Addr]time.Time // owner: mu; the same
	known    map[pair]device          // owner: mu
	fresh    map[pair]knownSource     // owner: mu; to be written down
}

// knownSource is a source to be remembered for an account.
type knownSource struct {
	user   string
	source netip.Addr // as network gives it
	until  time.Time
}

// bucket is a rate: one failure per interval, and burst at once.
type bucket struct {
	interval time.Duration
	burst    int
}

type pair struct {
	source  netip.Addr
	account uint64
}

type device struct {
	until time.Time // known until
	saved time.Time // known until, as it is written down or about to be
	tat   time.Time // when its own bucket is empty again
}

// NewLimiter allows so many failures in 10 minutes; 0 means 20 per account and
// 60 per source. A nil clock is time.Now.
func NewLimiter(perAccount, perSource int, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	if perAccount <= 0 {
		perAccount = 20
	}
	if perSource <= 0 {
		perSource = 60
	}
	return &Limiter{
		now: now, seed: maphash.MakeSeed(), perAccount: newBucket(perAccount), perSource: newBucket(perSource),
		accounts: map[uint64]time.Time{}, sources: map[netip.Addr]time.Time{}, known: map[pair]device{},
		fresh: map[pair]knownSource{},
	}
}

// newBucket makes one that lets at most n through in any window: burst at
// once and (n - burst) as it empties.
func newBucket(n int) bucket {
	burst := max(1, n/2)
	rest := max(1, n-burst)
	return bucket{interval: window / time.Duration(rest), burst: burst}
}

// wait is how long a bucket that is empty at tat refuses: 0 if not at all.
func (b bucket) wait(now, tat time.Time) time.Duration {
	if !tat.After(now) {
		return 0
	}
	// It takes one more if what is in it drains within burst-1 intervals.
	return max(0, tat.Sub(now)-time.Duration(b.burst-1)*b.interval)
}

func (b bucket) add(now, tat time.Time) time.Time {
	if tat.Before(now) {
		tat = now
	}
	return tat.Add(b.interval)
}

// Allow says whether user may try from source now, and if not, when. It counts
// nothing; it spares the work of a check whose answer would be thrown away.
func (l *Limiter) Allow(source netip.Addr, user string) (ok bool, retry time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	retry = l.wait(l.now(), l.pair(source, user))
	return retry == 0, retry
}

// Judge counts a checked secret, right or wrong. If it says no, the outcome of
// the check must not be told: others failed while it ran.
func (l *Limiter) Judge(source netip.Addr, user string, right bool) (ok bool, retry time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, p := l.now(), l.pair(source, user)
	if retry = l.wait(now, p); retry > 0 {
		return false, retry
	}
	if right {
		l.succeed(now, p, user)
	} else {
		l.fail(now, p)
	}
	return true, 0
}

// Fail counts a wrong secret.
func (l *Limiter) Fail(source netip.Addr, user string) { l.Judge(source, user, false) }

// Success makes the source known for the user.
func (l *Limiter) Success(source netip.Addr, user string) { l.Judge(source, user, true) }

func (l *Limiter) pair(source netip.Addr, user string) pair {
	return pair{network(source), maphash.String(l.seed, user)}
}

// network is what an address counts as.
func network(source netip.Addr) netip.Addr {
	source = source.Unmap().WithZone("")
	if source.Is6() {
		// One customer has at least a /64: single addresses are free of charge.
		if p, err := source.Prefix(64); err == nil {
			source = p.Addr()
		}
	}
	return source
}

func (l *Limiter) knows(source netip.Addr, user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now().Before(l.known[l.pair(source, user)].until)
}

// recalled makes a source known that was before the start; it says whether that is not over.
func (l *Limiter) recalled(source netip.Addr, user string, until time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.now().Before(until) {
		return false
	}
	trim(l.known, func(d device) bool { return d.until.Before(l.now()) })
	l.known[l.pair(source, user)] = device{until: until, saved: until}
	return true
}

// takeFresh gives what is to be written down, once; giveBack is for what could not be.
func (l *Limiter) takeFresh() map[pair]knownSource {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.fresh) == 0 {
		return nil
	}
	f := l.fresh
	l.fresh = map[pair]knownSource{}
	return f
}

func (l *Limiter) giveBack(f map[pair]knownSource) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, k := range f {
		if _, newer := l.fresh[p]; !newer && len(l.fresh) < maxTracked {
			l.fresh[p] = k
		}
	}
}

func (l *Limiter) wait(now time.Time, p pair) time.Duration {
	if d, ok := l.known[p]; ok && now.Before(d.until) {
		return l.perAccount.wait(now, d.tat)
	}
	w := l.perAccount.wait(now, l.accounts[p.account])
	if p.source.IsValid() {
		w = max(w, l.perSource.wait(now, l.sources[p.source]))
	}
	return w
}

func (l *Limiter) fail(now time.Time, p pair) {
	if d, ok := l.known[p]; ok && now.Before(d.until) {
		d.tat = l.perAccount.add(now, d.tat)
		l.known[p] = d
		return
	}
	trim(l.accounts, func(tat time.Time) bool { return tat.Before(now) })
	l.accounts[p.account] = l.perAccount.add(now, l.accounts[p.account])
	if p.source.IsValid() {
		trim(l.sources, func(tat time.Time) bool { return tat.Before(now) })
		l.sources[p.source] = l.perSource.add(now, l.sources[p.source])
	}
}

func (l *Limiter) succeed(now time.Time, p pair, user string) {
	if !p.source.IsValid() {
		return
	}
	d := l.known[p]
	if !now.Before(d.until) {
		trim(l.known, func(d device) bool { return d.until.Before(now) })
	}
	d.until = now.Add(knownFor)
	if d.until.Sub(d.saved) > renewAfter && len(l.fresh) < maxTracked {
		d.saved = d.until
		l.fresh[p] = knownSource{user, p.source, d.until}
	}
	l.known[p] = d
}

// trim makes room in a full table: first what is over, then any entry.
func trim[K comparable, V any](m map[K]V, over func(V) bool) {
	if len(m) < maxTracked {
		return
	}
	for k, v := range m {
		if over(v) {
			delete(m, k)
		}
	}
	for k := range m {
		if len(m) < maxTracked*7/8 {
			return
		}
		delete(m, k)
	}
}
