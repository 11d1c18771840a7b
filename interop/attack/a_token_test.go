package attack

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

var streamID = regexp.MustCompile(`<stream:stream [^>]*\bid=['"]([^'"]+)['"]`)

// streamIDs are the ids of so many streams: a header, the answer's, and the end.
func (p *place) streamIDs(t *testing.T, n int) []string {
	t.Helper()
	const workers = 4
	out := make([][]string, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			buf := make([]byte, 4<<10)
			for range n / workers {
				id, err := p.streamID(buf)
				if err != nil {
					t.Error(err)
					return
				}
				out[w] = append(out[w], id)
			}
		})
	}
	wg.Wait()
	var all []string
	for _, ids := range out {
		all = append(all, ids...)
	}
	return all
}

func (p *place) streamID(buf []byte) (string, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source())}}
	c, err := d.Dial("tcp", p.C2S)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_ = c.(*net.TCPConn).SetLinger(0) // a million ports would wait otherwise
	if _, err := io.WriteString(c, header); err != nil {
		return "", err
	}
	for n := 0; n < len(buf); {
		k, err := c.Read(buf[n:])
		if n += k; err != nil {
			return "", err
		}
		if m := streamID.FindSubmatch(buf[:n]); m != nil {
			return string(m[1]), nil
		}
	}
	return "", fmt.Errorf("attack: no id in %s", buf)
}

// loginTokens are those of SASL2: a device's token (XEP-0484) and the id to resume with
// that Bind 2 gives (XEP-0386).
func (p *place) loginTokens(t *testing.T, n int) {
	t.Helper()
	user := p.person(t)
	var fast, resumptions []string
	for i := range n {
		c := p.at(t, secured, "")
		answer, err := c.Auth2("PLAIN", user, server.Password, fmt.Sprintf("<user-agent xmlns='urn:xmpp:sasl:2' id='00000000-0000-4000-8000-%012d'/>", i%15)+
			"<bind xmlns='urn:xmpp:bind:0'><tag>t</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind><request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>")
		if err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
		walk(answer, func(k *client.Node) {
			switch {
			case k.Name.Local == "token" && k.Name.Space == "urn:xmpp:fast:0":
				fast = append(fast, k.Get("token"))
			case k.Name.Local == "enabled":
				resumptions = append(resumptions, k.Get("id"))
			}
		})
		_ = c.Send("</stream:stream>")
		_, _ = io.Copy(io.Discard, c.Conn)
		_ = c.Close()
	}
	if len(fast) != n || len(resumptions) != n {
		t.Fatalf("%d tokens of devices and %d resumption ids of %d logins", len(fast), len(resumptions), n)
	}
	random(t, "token of a device", fast, 128)
	random(t, "resumption id of Bind 2", resumptions, 128)
}

// slotTokens are the addresses files are put to, and got from.
func (p *place) slotTokens(t *testing.T, n int) {
	t.Helper()
	var puts, gets []string
	for len(puts) < n {
		c := p.login(t, p.person(t), "slots")
		for range min(50, n-len(puts)) { // within one person's quota
			put, get, err := slot(c, "filename='a' size='1' content-type='text/plain'")
			if err != nil {
				t.Fatal(err)
			}
			puts, gets = append(puts, tokenIn(t, put)), append(gets, tokenIn(t, get))
		}
		c.Close()
	}
	random(t, "upload slot", puts, 128)
	random(t, "address of a file", gets, 128)
}

// tokenIn is the part of a file's address that is not its name.
func tokenIn(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	longest := ""
	for _, part := range strings.Split(path.Clean(u.Path), "/") {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}
