package attack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// guesser tries wrong passwords from one address, on every surface in turn.
type guesser struct {
	p    *place
	from string
	web  *browser
	conn *client.Conn // under TLS, before login
	left int          // guesses until the server ends the stream
	n    int
}

// verdict is what a guess was told.
type verdict string

const (
	checked verdict = "checked" // the password was looked at, and wrong
	tooMany verdict = "too many failed attempts"
	other   verdict = "something else"
)

// guess tries a password that is wrong, by HTTPS, SCRAM or PLAIN in turn.
func (g *guesser) guess(t testing.TB, user string) verdict {
	t.Helper()
	g.n++
	if g.n%3 == 0 {
		if g.web == nil {
			g.web = g.p.browserAt(t, g.from)
		}
		in, err := json.Marshal(map[string]string{"user": user, "password": "wrong " + fmt.Sprint(g.n)})
		if err != nil {
			t.Fatal(err)
		}
		switch status, text := g.web.call(t, "POST", "/api/v1/session", string(in)); status {
		case http.StatusUnauthorized:
			return checked
		case http.StatusTooManyRequests:
			return tooMany
		default:
			t.Errorf("a guess by HTTPS: %d %s", status, text)
			return other
		}
	}
	if g.left == 0 { // HARDENING §0: five on a stream
		if g.conn != nil {
			_ = g.conn.Close()
		}
		g.conn, g.left = g.p.from(t, g.from), 4
	}
	g.left--
	mech, first := "PLAIN", "\x00"+user+"\x00wrong"
	if g.n%3 == 1 {
		mech, first = "SCRAM-SHA-256", "n,,n="+user+",r="+client.Token()
	}
	n, err := g.conn.SASL("auth", mech, first)
	if err == nil && n.Name.Local == "challenge" {
		var final string
		if final, err = scramFinal(mech, first, unbase64(t, n.Text), "wrong"); err == nil {
			n, err = g.conn.SASL("response", "", final)
		}
	}
	switch {
	case err != nil:
		t.Errorf("a guess by %s: %v", mech, err)
	case n.Kid(saslNS, "not-authorized") != nil:
		return checked
	case n.Kid(saslNS, "temporary-auth-failure") != nil:
		return tooMany
	default:
		t.Errorf("a guess by %s: %v", mech, n)
	}
	return other
}

// siege is one of A8's patterns.
type siege struct {
	what             string
	accounts, source int
	mostAccount      int // failed checks of one account
	mostSource       int // of one source
}

// A8: guessing comes to a limit, per account and per source, on all surfaces
// together; an owner who has logged in from where they are always gets in.
func TestA8_bruteForceAndLockout(t *testing.T) {
	t.Parallel()
	guesses := scaled(400, 10_000)
	many := scaled(60, 1000)
	p := apart(t, many+40)
	stop := canary(t, p)
	var everybody []string
	for range many {
		everybody = append(everybody, p.person(t))
	}
	ownersIn, failed := 0, map[string]int{}
	for i, s := range []siege{
		{"1 account, 1 source", 1, 1, 20, 20},
		{"1 account, many sources", 1, many, 20, 20},
		{"many accounts, 1 source", many, 1, 20, 60},
	} {
		accounts := everybody
		if s.accounts == 1 {
			accounts = []string{p.person(t)}
		}
		if s.accounts > 1 {
			accounts[0] = p.person(t)
		}
		owner := p.owner(t, accounts[0])
		perAccount, total := p.guesses(t, s, accounts, guesses)
		in, tries := owner()
		t.Logf("%s: %d guesses, %d checked, %d at most of one account; the owner got in %d times of %d", s.what, guesses, total, perAccount, in, tries)
		if perAccount > s.mostAccount || s.source == 1 && total > s.mostSource {
			t.Errorf("%s: %d checked (%d of one account); limits are %d of an account, %d of a source", s.what, total, perAccount, s.mostAccount, s.mostSource)
		}
		if total < 5 {
			t.Errorf("%s: only %d were checked: the test shows nothing", s.what, total)
		}
		if in != tries || tries == 0 {
			t.Errorf("%s: the owner on a known device got in %d times of %d", s.what, in, tries)
		}
		ownersIn += in
		failed[s.what] = total
		p.newcomer(t, i, s, accounts[0])
	}
	r := stop()
	measured("A8", fmt.Sprintf("%d guesses each: 1 account/1 source, 1 account/%d sources, %d accounts/1 source; PLAIN, SCRAM, HTTPS in turn", guesses, many, many),
		fmt.Sprintf("checked: %d, %d, %d; the owner on a known device: %d of %d logins; %s", failed["1 account, 1 source"], failed["1 account, many sources"],
			failed["many accounts, 1 source"], ownersIn, ownersIn, r.health()), "≤ 20 an account, ≤ 60 a source in 10 min; owner 100 %; CANARY")
}

// guesses makes so many, from eight connections at once, and returns how many
// were checked of the account that met most, and in all.
func (p *place) guesses(t *testing.T, s siege, accounts []string, n int) (most, total int) {
	t.Helper()
	from := make([]string, s.source)
	for i := range from {
		from[i] = source()
	}
	var mu sync.Mutex
	hits := map[string]int{}
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			var g *guesser
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if addr := from[(int(i)/10+w)%len(from)]; g == nil || addr != g.from {
					g.close()
					g = &guesser{p: p, from: addr, n: int(i)}
				}
				user := accounts[int(i)%len(accounts)]
				if g.guess(t, user) == checked {
					mu.Lock()
					hits[user]++
					total++
					mu.Unlock()
				}
			}
			g.close()
		})
	}
	wg.Wait()
	for _, k := range hits {
		most = max(most, k)
	}
	return most, total
}

func (g *guesser) close() {
	if g == nil {
		return
	}
	if g.conn != nil {
		_ = g.conn.Close()
	}
	if g.web != nil {
		g.web.c.CloseIdleConnections()
	}
}

// owner logs in once, then again and again until the returned function is
// called, which tells how often that worked: from one address, by SCRAM, PLAIN
// and HTTPS in turn.
func (p *place) owner(t *testing.T, user string) (end func() (in, tries int)) {
	t.Helper()
	home := source()
	web := p.browserAt(t, home)
	web.login(t, user, server.Password)
	stop, done := make(chan struct{}), make(chan struct{})
	in, tries := 0, 0
	one := func() {
		tries++
		if tries%3 == 0 {
			status, text := web.call(t, "POST", "/api/v1/session", `{"user":"`+user+`","password":"`+server.Password+`"}`)
			if status == http.StatusOK {
				in++
			} else {
				t.Errorf("the owner by HTTPS: %d %s", status, text)
			}
			return
		}
		c := p.from(t, home)
		defer c.Close()
		if err := c.Auth([]string{"", "SCRAM-SHA-256", "PLAIN"}[tries%3], user, server.Password); err != nil {
			t.Errorf("the owner: %v", err)
			return
		}
		in++
	}
	go func() {
		defer close(done)
		for {
			one()
			select {
			case <-stop:
				return
			default:
			}
			until(50*1e6, func() bool { return false })
		}
	}()
	return func() (int, int) {
		close(stop)
		<-done
		for range 6 { // and right after it, when the account's limit is used up
			one()
		}
		return in, tries
	}
}

// newcomer shows that the limit holds for a right password, too, from an address
// the account has never been used at; else guessing would go on, and only be slower to read.
func (p *place) newcomer(t *testing.T, i int, s siege, user string) {
	t.Helper()
	if s.accounts > 1 {
		return // the account itself has met few
	}
	c := p.from(t, source())
	defer c.Close()
	n, err := c.SASL("auth", "PLAIN", "\x00"+user+"\x00"+server.Password)
	if err != nil || n.Kid(saslNS, "temporary-auth-failure") == nil {
		t.Errorf("siege %d, %s: a right password from elsewhere, while it is guessed: %v, %v", i, s.what, n, err)
	}
}
