package attack

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// script is a valid session, in the pieces an honest client sends at each point.
func script(user, other string) []string {
	return []string{
		header,
		starttls,
		header,
		plainAuth("", user, server.Password),
		header,
		bindIQ,
		"<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq><presence><priority>1</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='x' ver='y'/></presence>" +
			"<enable xmlns='urn:xmpp:sm:3' resume='true'/><iq type='set' id='2'><enable xmlns='urn:xmpp:carbons:2'/></iq>" +
			"<message type='chat' id='3' to='" + other + "'><body>hi &amp; <![CDATA[<b>]]></body><origin-id xmlns='urn:xmpp:sid:0' id='o'/></message><r xmlns='urn:xmpp:sm:3'/>" +
			"<iq type='set' id='4'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field></x><set xmlns='http://jabber.org/protocol/rsm'><max>3</max></set></query></iq>" +
			"<iq type='set' id='5'><query xmlns='jabber:iq:roster'><item jid='" + other + "' name='N'><group>G</group></item></query></iq><presence type='subscribe' to='" + other + "'/>" +
			"<iq type='set' id='6'><vCard xmlns='vcard-temp'><FN>F</FN></vCard></iq><iq type='set' id='7'><block xmlns='urn:xmpp:blocking'><item jid='x@acme.test'/></block></iq>" +
			"<iq type='get' id='8' to='acme.test'><query xmlns='http://jabber.org/protocol/disco#info'/></iq><a xmlns='urn:xmpp:sm:3' h='0'/><inactive xmlns='urn:xmpp:csi:0'/><presence type='unavailable'/>",
		"</stream:stream>",
	}
}

// mutate breaks a piece in one of the ways bytes break.
func mutate(r *rand.Rand, s string) string {
	b := []byte(s)
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return ""
		}
		i, j := r.IntN(len(b)), r.IntN(len(b))
		i, j = min(i, j), max(i, j)
		switch r.IntN(8) {
		case 0: // a bit
			b[i] ^= 1 << r.IntN(8)
		case 1: // a byte
			b[i] = byte(r.IntN(256))
		case 2: // cut off
			b = b[:i]
		case 3: // twice
			b = append(b[:j:j], append([]byte(nil), b[i:]...)...)
		case 4: // taken out
			b = append(b[:i:i], b[j:]...)
		case 5: // something put in
			in := []string{"<", ">", "'", "\x00", "&#0;", "<!--", "]]>", "xmlns=''", " to=''", "é", "\xff\xfe", "</stream:stream>", "<?xml?>", strings.Repeat("A", 9000), "<iq type='set' id='x'/>", "-1"}
			b = append(b[:i:i], append([]byte(in[r.IntN(len(in))]), b[i:]...)...)
		case 6: // exchanged
			b[i], b[j] = b[j], b[i]
		case 7: // nothing but another order of pieces
			b = append(append([]byte(nil), b[j:]...), b[:j]...)
		}
	}
	return string(b)
}

// A session whose bytes break anywhere ends in order or goes on: the server
// never dies, never leaves a client without an answer to its goodbye, and
// honest people notice nothing.
func TestMutatedSessions(t *testing.T) {
	t.Parallel()
	count := scaled(400, 20_000)
	p := apart(t, 60)
	rng := seeded(t)
	stop := canary(t, p)
	type job struct {
		n    int
		user string
		at   int
		rng  *rand.Rand
	}
	users := make([]string, 40) // at most ten connections each, so that no account is full
	for i := range users {
		users[i] = p.person(t)
	}
	jobs := make(chan job)
	var mu sync.Mutex
	ends := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for j := range jobs {
				how, err := p.mutated(j.user, j.at, j.rng)
				if err != nil {
					t.Errorf("session %d, broken at piece %d: %v", j.n, j.at, err)
				}
				mu.Lock()
				ends[how]++
				mu.Unlock()
			}
		})
	}
	for i := range count {
		at := i % 8
		if at < 6 && i%3 == 0 {
			at = 6 // the stanzas have most to break
		}
		jobs <- job{i, users[i%len(users)], at, rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))}
	}
	close(jobs)
	wg.Wait()
	stop()
	t.Logf("%d sessions ended by %v", count, ends)
}

// mutated plays the script with one piece broken, then closes its half. It
// returns how the server ended it; an error if that was not in order.
func (p *place) mutated(user string, at int, r *rand.Rand) (how string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	c, err := client.Connect(ctx, p.C2S, server.Domain, source())
	if err != nil {
		return "", err
	}
	defer c.Close()
	pieces := script(user, bare(name(0)))
	answers := []func() error{ // what an honest client reads before it goes on
		c.ReadHeader,
		func() error {
			if n, err := c.Next(); err != nil || n.Name.Local != "proceed" {
				return errors.Join(err, errors.New("no <proceed/>"))
			}
			return c.Secure(ctx)
		},
		c.ReadHeader,
		func() error { _, err := c.Next(); return err },
		c.ReadHeader,
		func() error { _, err := c.Next(); return err },
	}
	for i := range at {
		if err := c.Send(pieces[i]); err != nil {
			return "", err
		}
		if i < len(answers) {
			if err := answers[i](); err != nil {
				return "", err
			}
		}
	}
	// The rest in one go: what follows a broken piece is as wrong as it.
	payload := mutate(r, pieces[at])
	if at != 1 { // behind <starttls/> there would be TLS
		payload += strings.Join(pieces[min(at+1, len(pieces)-1):], "")
	}
	if _, err := io.WriteString(c.Conn, payload); err != nil && !gone(err) {
		return "", err
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // whatever it waits for does not come
	}
	_ = c.SetReadDeadline(time.Now().Add(closedWithin))
	b, err := io.ReadAll(c.Conn)
	text := string(b)
	if m := streamError.FindStringSubmatch(text); m != nil {
		how = m[1]
	} else if strings.HasSuffix(text, "</stream:stream>") {
		how = "goodbye"
	} else {
		how = "hung up on a half element" // our own end came first
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return how, errors.New("the server did not end it: " + tail(text))
	case err != nil && !gone(err):
		return how, err
	}
	if i := strings.LastIndex(text, "<proceed"); i < 0 && text != "" {
		if bad := wellFormedPrefix(text); bad != nil {
			return how, bad
		}
	}
	return how, nil
}

// gone says that an error is only the connection's end.
func gone(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) && !op.Timeout()
}

// wellFormedPrefix checks what the server wrote, which may hold more than one
// stream's header, element by element.
func wellFormedPrefix(text string) error {
	for part := range strings.SplitSeq(text, "<?xml version='1.0'?>") {
		if err := wellFormed(part); err != nil && !strings.Contains(err.Error(), "unexpected EOF") {
			return errors.Join(err, errors.New(tail(part)))
		}
	}
	return nil
}
