package attack

import (
	"context"
	"fmt"
	"html"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// polyglot is a file some browser, asked in some way, would run a script of.
type polyglot struct{ name, media, content string }

// polyglots are 40 of them. RAN stands for what the script does.
func polyglots() (out []polyglot) {
	const page = `<!doctype html><title>x</title><body onload="RAN"><script>RAN</script><img src=x onerror="RAN">`
	const svg = `<svg xmlns="http://www.w3.org/2000/svg" onload="RAN"><script>RAN</script><foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><script>RAN</script></body></foreignObject></svg>`
	const xhtml = `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title><script>RAN</script></head><body/></html>`
	const xslt = `<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="data:text/xml,%3Cxsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'%3E%3Cxsl:template match='/'%3E%3Cscript xmlns='http://www.w3.org/1999/xhtml'%3ERAN%3C/script%3E%3C/xsl:template%3E%3C/xsl:stylesheet%3E"?><x/>`
	const pdf = "%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert\\(1\\);RAN)>>>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
	const gif = "GIF89a/*\x01\x00\x01\x00\x00\x00\x00;*/=1;RAN"
	png := "\x89PNG\r\n\x1a\n" + page
	for name, c := range map[string]struct {
		content string
		media   []string
	}{
		"a.html":    {page, []string{"text/html", "text/plain", "image/png", "application/octet-stream", "text/html;charset=utf-7", "unknown/unknown"}},
		"a.svg":     {svg, []string{"image/svg+xml", "text/xml", "image/png", "application/xml", "text/html"}},
		"a.xhtml":   {xhtml, []string{"application/xhtml+xml", "text/xml", "application/rss+xml", "application/atom+xml"}},
		"a.xml":     {xslt, []string{"text/xml", "application/xml", "application/xslt+xml", "text/xsl"}},
		"a.pdf":     {pdf, []string{"application/pdf", "text/html", "text/pdf"}},
		"a.gif":     {gif, []string{"image/gif", "text/javascript", "application/javascript", "application/ecmascript"}},
		"a.js":      {"RAN", []string{"text/javascript", "module/javascript", "text/ecmascript"}},
		"a.png":     {png, []string{"image/png", "text/html", "image/svg+xml"}},
		"a.jpg":     {"\xff\xd8\xff\xfe\x00\x40" + page, []string{"image/jpeg", "text/html"}},
		"a.mhtml":   {"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n" + page + "\r\n--b--\r\n", []string{"multipart/related", "message/rfc822"}},
		"b.html":    {"\xff\xfe" + utf16(page), []string{"text/html", "text/plain"}},
		"c.css":     {"*{background:url(javascript:RAN)}" + page, []string{"text/css"}},
		"d.vtt":     {"WEBVTT\n\n" + page, []string{"text/vtt"}},
		"index.htm": {"{}" + page, []string{"application/json"}},
	} {
		for _, m := range c.media {
			out = append(out, polyglot{name, m, c.content})
		}
	}
	return out
}

func utf16(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteByte(c)
		b.WriteByte(0)
	}
	return b.String()
}

// lair is another site: it serves pages that use the files in every way, and
// is told by each script that runs.
type lair struct {
	url   string
	mu    sync.Mutex
	ran   map[string]int
	pages map[string]string
	types map[string]string
	done  chan struct{}
}

func newLair(t *testing.T) *lair {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lair{url: "http://" + ln.Addr().String(), ran: map[string]int{}, pages: map[string]string{}, types: map[string]string{}, done: make(chan struct{}, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("/ran/{what}", func(_ http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ran[r.PathValue("what")]++
	})
	mux.HandleFunc("/done", func(http.ResponseWriter, *http.Request) { l.done <- struct{}{} })
	mux.HandleFunc("/page/{name}", func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		kind := l.types[r.PathValue("name")]
		if kind == "" {
			kind = "text/html"
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write([]byte(l.pages[r.PathValue("name")]))
	})
	s := &http.Server{Handler: mux}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return l
}

// armed is a polyglot whose script tells the lair who it is.
func (l *lair) armed(p polyglot, what string) []byte {
	return []byte(strings.ReplaceAll(p.content, "RAN", "new Image().src='"+l.url+"/ran/"+what+"'"))
}

// using is a page that uses a set of addresses in every way a page can, waits
// for them, and goes on.
func (l *lair) using(urls []string, next string) string {
	var b strings.Builder
	b.WriteString("<!doctype html><title>lair</title>")
	for _, u := range urls {
		u = html.EscapeString(u)
		fmt.Fprintf(&b, `<iframe src="%[1]s"></iframe><object data="%[1]s"></object><embed src="%[1]s"><img src="%[1]s"><script src="%[1]s"></script>`+
			`<script type="module" src="%[1]s"></script><link rel="stylesheet" href="%[1]s"><iframe srcdoc="&lt;iframe src='%[1]s'>&lt;/iframe>"></iframe>`, u)
	}
	fmt.Fprintf(&b, `<script>addEventListener('load',()=>setTimeout(()=>{location='%s'},1500))</script>`, next)
	return b.String()
}

// opening is a page that goes to one address after the other by itself; since
// each is kept as a file the page stays, and goes on in the end.
func opening(urls []string, next string) string {
	return fmt.Sprintf(`<!doctype html><script>const urls=%q.split(' ');let i=0;setInterval(()=>{location=i<urls.length?urls[i++]:'%s'},100)</script>`,
		strings.Join(urls, " "), next)
}

// browse opens an address in a headless browser until the lair has heard that
// the last page is done.
func browse(t *testing.T, l *lair, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--ignore-certificate-errors", "--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("chromium is missing: apt-get install chromium: %v", err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	select {
	case <-l.done:
	case <-ctx.Done():
		t.Error("the last page did not come")
	}
}

// H3: 40 files that are pages, pictures and scripts at once, each used by
// another site's page in eight ways, and opened by itself: no script runs. The
// same files without our headers show that the browser would.
func TestH3_uploadsRunNothing(t *testing.T) {
	t.Parallel()
	p := small(t, "")
	l := newLair(t)
	c, b := p.login(t, "alice", "h3"), p.browser(t)
	list := polyglots()
	if len(list) < 40 {
		t.Fatalf("%d polyglots, the catalogue wants 40", len(list))
	}
	var ours, theirs []string
	for i, poly := range list {
		body := l.armed(poly, fmt.Sprint("ours-", i))
		put, get, err := slot(c, fmt.Sprintf("filename='%s' size='%d' content-type='%s'", poly.name, len(body), poly.media))
		if err != nil {
			t.Fatalf("%s: %v", poly.media, err)
		}
		if status, _, text, err := b.send("PUT", put, body, int64(len(body)), "Content-Type", poly.media); status != 201 {
			t.Fatalf("%s: %d %s %v", poly.media, status, text, err)
		}
		status, h, _, err := b.send("GET", get, nil, 0)
		if status != 200 || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || strings.Contains(h.Get("Content-Type"), "html") || strings.Contains(h.Get("Content-Type"), "xml") {
			t.Errorf("%s as %s: %d %v %v", poly.name, poly.media, status, h, err)
		}
		ours = append(ours, get)
		name := fmt.Sprint("theirs-", i)
		l.pages[name], l.types[name] = string(l.armed(poly, name)), poly.media
		theirs = append(theirs, l.url+"/page/"+name)
	}
	l.pages["ours"] = l.using(ours, l.url+"/page/opened")
	l.pages["opened"] = opening(ours, l.url+"/page/theirs")
	l.pages["theirs"] = l.using(theirs, l.url+"/done")
	browse(t, l, l.url+"/page/ours")
	l.mu.Lock()
	defer l.mu.Unlock()
	control := 0
	for what, n := range l.ran {
		if strings.HasPrefix(what, "ours") {
			t.Errorf("%s: a script ran %d times", what, n)
		} else {
			control++
		}
	}
	if control < 10 {
		t.Errorf("only %d of %d run without our headers: the browser is not asked well", control, len(list))
	}
	t.Logf("%d of %d run where the headers are missing", control, len(list))
}
