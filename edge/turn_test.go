package edge_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/edgetest"
)

// crowdAt is n passes at addresses of their own.
func crowdAt(t *testing.T, g *edge.Gate, n int) (ps []*edge.Pass) {
	for i := range n {
		ps = append(ps, enter(t, g, netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)})))
	}
	return ps
}

// turning waits for a turn in a goroutine; the channel gives how that ended.
func turning(ctx context.Context, p *edge.Pass, patience time.Duration) <-chan error {
	got := make(chan error, 1)
	go func() { got <- p.Turn(ctx, nil, time.Now().Add(patience)) }()
	return got
}

func pending(got <-chan error) bool {
	synctest.Wait()
	select {
	case <-got:
		return false
	default:
		return true
	}
}

func turnGate(n int) *edge.Gate {
	return edge.NewGate(edge.GateLimits{PerSource: 50, Total: 1000, Wait: 10 * time.Second, Turns: n})
}

// HARDENING F13: no more logins than that are under way, and who came first is first.
func TestTurn_firstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := turnGate(2)
		ps := crowdAt(t, g, 4)
		for _, p := range ps[:2] {
			if err := p.Turn(t.Context(), nil, time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		if err := ps[0].Turn(t.Context(), nil, time.Now()); err != nil {
			t.Errorf("who has a turn was asked to wait: %v", err)
		}
		third := turning(t.Context(), ps[2], time.Minute)
		synctest.Wait()
		fourth := turning(t.Context(), ps[3], time.Minute)
		if !pending(third) || !pending(fourth) {
			t.Fatal("more turns than there are")
		}
		ps[1].Leave()
		if pending(third) || !pending(fourth) {
			t.Error("the turn did not go to who waited longest")
		}
		ps[0].Leave()
		if pending(fourth) {
			t.Error("nobody was called")
		}
		ps[2].Leave()
		ps[3].Leave()
		if g.Inside() != 0 {
			t.Errorf("%d inside", g.Inside())
		}
	})
}

// HARDENING X8: whoever lets the server wait keeps nobody out.
func TestTurn_loiterersLoseTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const turns = 8
		g := turnGate(turns)
		ps := crowdAt(t, g, 100)
		began := time.Now()
		for _, p := range ps[:len(ps)-1] {
			turning(t.Context(), p, time.Minute)
		}
		synctest.Wait()
		last := <-turning(t.Context(), ps[len(ps)-1], time.Minute)
		if took := time.Since(began); last != nil || took > 3*time.Second {
			t.Errorf("behind 99 who do nothing somebody waited %v: %v", took, last)
		}
		for _, p := range ps {
			p.Leave()
		}
	})
}

// While logins end, a turn is nobody else's before its time is over.
func TestTurn_slowOnesKeepTheirsAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := turnGate(8)
		ps := crowdAt(t, g, 100)
		for _, p := range ps[:8] {
			_ = p.Turn(t.Context(), nil, time.Now())
		}
		slow, quick := ps[:7], ps[7]
		began := time.Now()
		served := 0
		for _, p := range ps[8:] { // one after the other, a tenth of a second each
			next := turning(t.Context(), p, time.Minute)
			synctest.Wait()
			<-time.After(100 * time.Millisecond) // fake time
			quick.Leave()
			if err := <-next; err != nil {
				t.Fatal(err)
			}
			served++
			quick = p
			if g.Turning() > 8 {
				t.Fatalf("%d turns", g.Turning())
			}
			if time.Since(began) >= 1400*time.Millisecond {
				break
			}
		}
		if served != 14 {
			t.Errorf("%d were served beside seven slow ones in %v", served, time.Since(began))
		}
		if g.Turning() != 8 {
			t.Errorf("%d turns are held: the slow ones lost theirs early", g.Turning())
		}
		for _, p := range append(slow, ps[7:]...) {
			p.Leave()
		}
	})
}

func TestTurn_refusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := turnGate(1)
		ps := crowdAt(t, g, 3)
		_ = ps[0].Turn(t.Context(), nil, time.Now())
		began := time.Now()
		if err := ps[1].Turn(t.Context(), nil, time.Now().Add(100*time.Millisecond)); !errors.Is(err, edge.ErrCrowded) || time.Since(began) != 100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := turning(ctx, ps[2], time.Minute)
		synctest.Wait()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for _, p := range ps {
			p.Leave()
		}
		if err := ps[0].Turn(t.Context(), nil, time.Now()); err != nil || g.Turning() != 0 {
			t.Errorf("who has left takes a turn: %v", err)
		}
	})
	var none *edge.Pass
	if err := none.Turn(t.Context(), nil, time.Now()); err != nil {
		t.Error(err)
	}
}

// hello is a ClientHello as it goes over the wire.
func hello(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	c := tls.Client(&onlyWritten{Buffer: &b}, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err == nil || b.Len() == 0 {
		t.Fatalf("no ClientHello: %v", err)
	}
	return b.Bytes()
}

type onlyWritten struct {
	net.Conn
	*bytes.Buffer
}

func (w *onlyWritten) Write(p []byte) (int, error)      { return w.Buffer.Write(p) }
func (w *onlyWritten) Read([]byte) (int, error)         { return 0, io.EOF }
func (w *onlyWritten) SetWriteDeadline(time.Time) error { return nil }
func (w *onlyWritten) SetDeadline(time.Time) error      { return nil }
func (w *onlyWritten) Close() error                     { return nil }

// HARDENING X8: a turn begins with a whole ClientHello; before it there is nothing.
func TestHandshake_noTurnBeforeTheHello(t *testing.T) {
	whole := hello(t)
	g := turnGate(5)
	for _, c := range []struct {
		name  string
		parts [][]byte
		shut  bool
		turns bool
	}{
		{"nothing", nil, false, false},
		{"a record's head", [][]byte{whole[:5]}, false, false},
		{"half of it", [][]byte{whole[:3], whole[3:60]}, false, false},
		{"all of it in pieces", [][]byte{whole[:3], whole[3:60], whole[60:]}, false, true},
		{"no TLS", [][]byte{[]byte("GET / HTTP/1.0\r\n\r\n")}, false, true},
		{"half, then the end", [][]byte{whole[:60]}, true, true},
		{"a record longer than there may be", [][]byte{{22, 3, 1, 0x40, 1}}, false, true},
	} {
		s, peer := pair(t)
		p := enter(t, g, one)
		done := make(chan error, 1)
		go func() {
			_, err := edge.Handshake(t.Context(), s, p, edgetest.Keys(t).Config(0), patience)
			done <- err
		}()
		for _, b := range c.parts {
			if _, err := peer.Write(b); err != nil {
				t.Fatal(c.name, err)
			}
		}
		if c.shut {
			_ = peer.(*net.TCPConn).CloseWrite()
		}
		if c.turns {
			if !g.AwaitTurning(1, patience) {
				t.Errorf("%s: it has no turn", c.name)
			}
		} else if g.AwaitTurning(1, 50*time.Millisecond) {
			t.Errorf("%s: it has a turn", c.name)
		}
		peer.Close()
		if err := <-done; err == nil {
			t.Errorf("%s: a handshake came of it", c.name)
		}
		p.Leave()
		if n := g.Turning(); n != 0 {
			t.Errorf("%s: %d turns are left", c.name, n)
		}
	}
}

// Who has lost their turn may go on, but not in any number: they hold the memory
// that turns are there to bound.
func TestTurn_tooManyLoiterersAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := turnGate(2)
		crowd := make(chan bool, 9)
		g.OnCrowd = func(on bool) { crowd <- on }
		ps := crowdAt(t, g, 40)
		var cut atomic.Int32
		for _, p := range ps {
			a, b := net.Pipe()
			defer b.Close()
			go func() {
				if _, err := b.Read(make([]byte, 1)); err == io.EOF {
					cut.Add(1)
				}
			}()
			go func() { _ = p.Turn(t.Context(), edge.NewConn(a), time.Now().Add(time.Hour)) }()
			synctest.Wait()
		}
		<-time.After(time.Minute) // fake time
		synctest.Wait()
		if len(crowd) != 2 || !<-crowd || <-crowd {
			t.Error("OnCrowd was not told of the crowd and its end")
		}
		// 2 have a turn, 8 for each of these two have lost one.
		if want := int32(40 - 2 - 16); cut.Load() != want {
			t.Errorf("%d connections were cut off, want %d", cut.Load(), want)
		}
		for _, p := range ps {
			if !p.Leave() {
				cut.Add(-1)
			}
		}
		if cut.Load() != 0 {
			t.Errorf("%d who are cut off may not know it", cut.Load())
		}
		if g.Turning() != 0 || g.Inside() != 0 {
			t.Errorf("%d turns, %d inside", g.Turning(), g.Inside())
		}
	})
}
