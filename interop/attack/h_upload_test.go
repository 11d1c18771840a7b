package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

const uploadSpace = "urn:xmpp:http:upload:0"

// slot asks for one; the attributes are written as they are.
func slot(c *client.Client, attrs string) (put, get string, err error) {
	n, err := c.IQ(patience, "get", server.Domain, "<request xmlns='"+uploadSpace+"' "+attrs+"/>")
	if err != nil {
		return "", "", err
	}
	s := n.Kid(uploadSpace, "slot")
	if s == nil {
		return "", "", fmt.Errorf("no slot: %s", n)
	}
	return s.Kid(uploadSpace, "put").Get("url"), s.Kid(uploadSpace, "get").Get("url"), nil
}

// send makes a request with a body; length -1 sends it in chunks.
func (b *browser) send(method, url string, body []byte, length int64, headers ...string) (int, http.Header, []byte, error) {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	q, err := http.NewRequestWithContext(context.Background(), method, url, r)
	if err != nil {
		return 0, nil, nil, err
	}
	q.ContentLength = length
	for i := 0; i+1 < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.c.Do(q)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, out, err
}

// kept lists the files under the server's folder for files, by path and size.
func (p *place) kept(t testing.TB) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	root := filepath.Join(p.Data(), "files")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an upload that ended meanwhile
		}
		if err != nil || d.IsDir() {
			return err
		}
		if st, err := d.Info(); err == nil {
			rel, _ := filepath.Rel(root, path)
			out[rel] = st.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// whole lists every file of the server, data set and log apart.
func (p *place) whole(t testing.TB) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(p.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // the database's helpers come and go
		}
		if !strings.Contains(path, "parlance.db") {
			out[path] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// small is a server of its own with small quotas.
func small(t *testing.T, files string) *place {
	t.Helper()
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Config: "[files]\n" + files})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{Server: s}
	t.Cleanup(func() {
		if err := p.sound(); err != nil {
			t.Error(err)
		}
		p.Finish(t)
	})
	return p
}

// H2: whatever a file is called and whatever path is asked for: contents are
// kept by the hash of their bytes, nothing is made outside their folder, and
// nothing but an uploaded file is given out.
func TestH2_namesAndPaths(t *testing.T) {
	t.Parallel()
	p := small(t, "max_size = \"1MiB\"\n")
	c, b := p.login(t, "alice", "h2"), p.browser(t)
	before := p.whole(t)
	byHash := regexp.MustCompile(`^blob/[0-9a-f]{2}/[0-9a-f]{62}$`)
	names := []string{
		"..", "../x", "../../../../tmp/parlance-h2", `..\..\x`, "/etc/passwd", `C:\x`, "%2e%2e", "%2e%2e%2fx", "%252e%252e%252f", "%u002e%u002e/x", "%2>", "%2&gt;",
		"a%00b", "a&#13;&#10;Set-Cookie: x=1", "a&#10;b", "a&#9;b", strings.Repeat("A", 4096) + ".png", strings.Repeat("ä", 2048), "gpj.&#x202E;exe", "&#x2066;a&#x2069;",
		"CON", "nul.txt", "COM1", "aux.tar.gz", ".", "...", " ", "~", "-rf", "$(id)", "`id`", "a;b", "a?b#c", "&quot;&gt;&lt;script&gt;", "x.php", ".htaccess", "tmp/x", "blob/00/x",
	}
	for i, name := range names {
		put, get, err := slot(c, fmt.Sprintf("filename='%s' size='6'", name))
		if err != nil {
			t.Errorf("%.40q: %v", name, err)
			continue
		}
		if u, err := url.Parse(get); err != nil || len(get) > 1000 || strings.ContainsAny(u.Path, "\r\n\x00\\") || strings.Contains(u.Path, "/../") || len(strings.Split(u.Path, "/")) != 4 {
			t.Errorf("%.40q has the address %.200q", name, get)
		}
		body := fmt.Appendf(nil, "h2-%03d", i)
		if status, _, text, err := b.send("PUT", put, body, 6); status != 201 {
			t.Errorf("%.40q: %d %s %v", name, status, text, err)
			continue
		}
		status, h, text, err := b.send("GET", get, nil, 0)
		if status != 200 || !bytes.Equal(text, body) {
			t.Errorf("%.40q: %d %q %v", name, status, text, err)
		}
		if h.Get("Set-Cookie") != "" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || len(h.Get("Content-Disposition")) > 1000 {
			t.Errorf("%.40q: %v", name, h)
		}
	}
	_, get, err := slot(c, "filename='x' size='1'")
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Split(get, "/")[4]
	for _, path := range hostilePaths(id) {
		for _, method := range []string{"GET", "PUT", "HEAD"} {
			status, text := p.rawHTTP(t, method, path)
			if status == 201 || status == 200 && method != "HEAD" && !strings.Contains(text, "<html") { // the web client's page is for any path
				t.Errorf("%s %.60q: %d %.100q", method, path, status, text)
			}
			if strings.Contains(text, "root:") || strings.Contains(text, "BEGIN ") {
				t.Errorf("%s %.60q gives a file of the machine: %.200q", method, path, text)
			}
		}
	}
	kept := p.kept(t)
	for path := range kept {
		if !byHash.MatchString(path) {
			t.Errorf("a file is called %q", path)
		}
	}
	for path := range p.whole(t) {
		if !before[path] && !strings.HasPrefix(path, filepath.Join(p.Data(), "files", "blob")) {
			t.Errorf("a file was made at %s", path)
		}
	}
	if len(kept) != len(names) {
		t.Errorf("%d contents kept, want %d", len(kept), len(names))
	}
}

// hostilePaths are ways out of a folder, for whoever makes paths of them.
func hostilePaths(id string) (out []string) {
	for _, dots := range []string{"..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%u002e%u002e", "..;", "..%00", "%c0%ae%c0%ae", "%uff0e%uff0e", "..%ff", `..%5c`, `..\`} {
		for _, kind := range []string{"upload", "file"} {
			up := strings.Repeat(dots+"/", 8)
			out = append(out, "/"+kind+"/"+up+"etc/passwd", "/"+kind+"/"+id+"/"+up+"etc/passwd", "/"+kind+"/"+dots+"/tls.key", "/"+kind+"/"+strings.ReplaceAll(up, "/", "%2f")+"etc%2fpasswd/x")
		}
	}
	for _, name := range []string{"", "%00", "%0d%0aSet-Cookie:%20x=1", strings.Repeat("A", 4096), "%2>", "%e2%80%aeexe", "con", "thumbnail", "x/thumbnail", "x/thumbnail/y", "..%2fthumbnail"} {
		out = append(out, "/file/"+id+"/"+name, "/upload/"+id+"/"+name, "/file/"+name+"/x", "/file//"+name, "//file/"+id+"/"+name)
	}
	return out
}

// rawHTTP sends a request line as it is.
func (p *place) rawHTTP(t testing.TB, method, path string) (status int, text string) {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source())}}
	conf := client.TLSConfig(server.Domain)
	conf.NextProtos = []string{"http/1.1"}
	c, err := (&tls.Dialer{NetDialer: &d, Config: conf}).Dial("tcp", p.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := ""
	if method == "PUT" {
		body = "x"
	}
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", method, path, p.HTTP, len(body), body)
	b, err := io.ReadAll(io.LimitReader(c, 1<<20))
	if err != nil && len(b) == 0 {
		return 0, ""
	}
	fmt.Sscanf(string(b), "HTTP/1.1 %d", &status)
	return status, string(b)
}

// A12 for files: a slot is no way around being locked out. What was uploaded
// before stays when its account is gone: it is part of the record.
func TestH4_whenTheAccountIsGone(t *testing.T) {
	t.Parallel()
	p := small(t, "")
	b := p.browser(t)
	for who, how := range map[string]string{"dave": "disable", "erin": "remove"} {
		c := p.login(t, who, "h4")
		put, get, err := slot(c, "filename='kept' size='4'")
		late, _, err2 := slot(c, "filename='late' size='4'")
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if status, _, text, err := b.send("PUT", put, []byte("kept"), 4); status != 201 {
			t.Fatalf("%d %s %v", status, text, err)
		}
		if err := p.user("", how, who); err != nil {
			t.Fatal(err)
		}
		if status, _, text, err := b.send("PUT", late, []byte("late"), 4); status != 403 {
			t.Errorf("an upload after %s: %d %s %v", how, status, text, err)
		}
		if status, _, text, err := b.send("GET", get, nil, 0); status != 200 || string(text) != "kept" {
			t.Errorf("a download after %s: %d %s %v", how, status, text, err)
		}
	}
}

// H4: one slot is one file of the size it was given for; quotas hold exactly,
// on disk too; what broke off is gone.
func TestH4_slotsSizesAndQuotas(t *testing.T) {
	t.Parallel()
	const quota = 100 << 10
	p := small(t, fmt.Sprintf("max_size = \"%dB\"\ntotal = \"%dB\"\nper_day = \"1GiB\"\n", quota, quota))
	b := p.browser(t)
	t.Run("one slot", func(t *testing.T) { p.oneSlot(t, b) })
	t.Run("quota", func(t *testing.T) { p.quotaRace(t, b, quota) })
}

func (p *place) oneSlot(t *testing.T, b *browser) {
	c := p.login(t, "alice", "h4")
	put, get, err := slot(c, "filename='a' size='1000' content-type='image/png'")
	if err != nil {
		t.Fatal(err)
	}
	full := bytes.Repeat([]byte("a"), 1000)
	png := []string{"Content-Type", "image/png"}
	for _, bad := range []struct {
		what   string
		body   []byte
		length int64
		header []string
		status int
	}{
		{"larger", append(full, 'x'), 1001, png, 413}, {"smaller", full[:999], 999, png, 413}, {"in chunks", full, -1, png, 411},
		{"another type", full, 1000, []string{"Content-Type", "text/html"}, 415}, {"a part", full, 1000, append(png, "Content-Range", "bytes 0-999/1000"), 400},
	} {
		if status, _, text, err := b.send("PUT", put, bad.body, bad.length, bad.header...); status != bad.status {
			t.Errorf("%s: %d %s %v, want %d", bad.what, status, text, err, bad.status)
		}
	}
	// A body that ends early, as when a phone loses its network.
	p.breakOff(t, put, 1000, 400)
	if !until(closedWithin, func() bool { return len(p.kept(t)) == 0 }) { // the catalogue: ≤ 60 s
		t.Errorf("what broke off is kept: %v", p.kept(t))
	}
	var won, taken atomic.Int64
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			status, _, text, err := b.send("PUT", put, bytes.Repeat([]byte{byte('A' + i)}, 1000), 1000, png...)
			switch status {
			case 201:
				won.Add(1)
			case 409:
				taken.Add(1)
			default:
				t.Errorf("%d %s %v", status, text, err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || taken.Load() != 31 {
		t.Errorf("%d uploads of one slot were taken, %d refused", won.Load(), taken.Load())
	}
	if status, _, body, err := b.send("GET", get, nil, 0); status != 200 || len(body) != 1000 || strings.Trim(string(body), string(body[:1])) != "" {
		t.Errorf("%d, %d bytes, %v: not one upload's", status, len(body), err)
	}
	if status, _, _, _ := b.send("PUT", put, full, 1000, png...); status != 409 {
		t.Errorf("a second upload: %d", status)
	}
}

// breakOff sends so many bytes of an upload and closes the connection.
func (p *place) breakOff(t *testing.T, put string, size, sent int) {
	t.Helper()
	u, err := url.Parse(put)
	if err != nil {
		t.Fatal(err)
	}
	conf := client.TLSConfig(server.Domain)
	conf.NextProtos = []string{"http/1.1"}
	c, err := tls.Dial("tcp", p.HTTP, conf)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n%s", u.EscapedPath(), u.Host, size, strings.Repeat("x", sent))
	if !until(patience, func() bool { return len(p.kept(t)) == 1 }) {
		t.Errorf("no upload under way: %v", p.kept(t))
	}
	c.Close()
}

func (p *place) quotaRace(t *testing.T, b *browser, quota int) {
	var devices []*client.Client
	for i := range 10 {
		devices = append(devices, p.login(t, "bob", fmt.Sprint("h4-", i)))
	}
	first, _, err := slot(devices[0], "filename='a' size='1'")
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _, err := b.send("PUT", first, []byte("1"), 1); status != 201 {
		t.Fatal(status, err)
	}
	var mu sync.Mutex
	var puts []string
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			put, _, err := slot(devices[i%len(devices)], fmt.Sprintf("filename='b' size='%d'", quota-1))
			if err != nil {
				if !strings.Contains(err.Error(), "resource-constraint") {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			puts = append(puts, put)
		})
	}
	all.Wait()
	if len(puts) != 1 {
		t.Fatalf("%d slots of quota−1 bytes were given, want 1", len(puts))
	}
	if status, _, text, err := b.send("PUT", puts[0], bytes.Repeat([]byte("2"), quota-1), int64(quota-1)); status != 201 {
		t.Fatal(status, string(text), err)
	}
	sum := int64(-1000) // the other test's file, of another account
	for _, n := range p.kept(t) {
		sum += n
	}
	if sum != int64(quota) {
		t.Errorf("%d bytes on disk, the quota is %d", sum, quota)
	}
	if _, _, err := slot(devices[0], "filename='c' size='1'"); err == nil || !strings.Contains(err.Error(), "resource-constraint") {
		t.Errorf("one byte more: %v", err)
	}
}
