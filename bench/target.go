package bench

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Ways to speak TLS.
const (
	TLSDirect   = "direct"   // XEP-0368
	TLSStartTLS = "starttls" // RFC 6120 §5
	TLSNone     = "none"
)

// Options say what to measure and how. Zero values are the workload's own.
type Options struct {
	Addr      string // host:port, loopback only
	Domain    string
	TLS       string // direct, starttls or none
	Users     string // pattern of user names, with one %d
	Password  string // of all of them
	First     int    // number of the first user
	Mechanism string // of SASL; empty: PLAIN where it is offered (the cheapest for the client)
	PIDs      []int  // of the server
	Sessions  int
	Workers   int // logins at a time
	// Rate is messages a second; 0 is a closed loop with Window messages under
	// way in each pair.
	Rate, Window int
	Count        int           // units at most; 0: as many as fit in Length
	Length       time.Duration // how long to keep on
	Contacts     int           // of each person, even
	Befriend     bool          // make the contacts first
	Fill         int           // messages to put into the archive first
	Pages, Page  int           // pages to read, messages on each
	Room         string        // room's address; empty: one on the service the server offers
	Progress     *Progress     // may be nil
}

// limits hold whatever somebody types.
const (
	maxSessions = 60_000
	maxRate     = 500_000
	maxCount    = 100_000_000
	maxLength   = time.Hour
)

// check refuses what is unsafe or makes no sense.
func (o *Options) check() error {
	if err := loopback(o.Addr); err != nil {
		return err
	}
	if err := checkPattern(o.Users); err != nil {
		return err
	}
	switch o.TLS {
	case TLSDirect, TLSStartTLS, TLSNone:
	default:
		return fmt.Errorf("bench: --tls %q: direct, starttls or none", o.TLS)
	}
	if o.Domain == "" {
		return errors.New("bench: the server's domain is missing (--domain)")
	}
	for _, b := range []struct {
		name   string
		n, max int
	}{
		{"--sessions", o.Sessions, maxSessions}, {"--workers", o.Workers, 1000}, {"--rate", o.Rate, maxRate},
		{"--window", o.Window, 10_000}, {"--count", o.Count, maxCount}, {"--contacts", o.Contacts, 1000},
		{"--fill", o.Fill, maxCount}, {"--pages", o.Pages, maxCount}, {"--page", o.Page, 1000},
	} {
		if b.n < 0 || b.n > b.max {
			return fmt.Errorf("bench: %s %d: 0 to %d", b.name, b.n, b.max)
		}
	}
	if o.Length < 0 || o.Length > maxLength {
		return fmt.Errorf("bench: --length %s: at most %s", o.Length, maxLength)
	}
	return nil
}

// loopback refuses every address that is not this machine's own: a load
// generator must not be aimed at anybody else.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("bench: --addr %q: want host:port", addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("bench: --addr %s: only loopback addresses (127.0.0.0/8, ::1) are measured; run it on the server's own machine", addr)
}

func checkPattern(p string) error {
	if strings.Count(p, "%") != 1 || fmt.Sprintf(p, 1) == fmt.Sprintf(p, 2) || strings.Contains(fmt.Sprintf(p, 1), "%!") {
		return fmt.Errorf("bench: --user-pattern %q: a user name with one number in it, like u%%05d", p)
	}
	return nil
}

// user is the name of person i.
func (o *Options) user(i int) string { return fmt.Sprintf(o.Users, o.First+i) }

// bare is the address of person i.
func (o *Options) bare(i int) string { return o.user(i) + "@" + o.Domain }
