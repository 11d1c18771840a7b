package upload

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/file"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	host  = jid.MustParse("x.test")
	alice = jid.MustParse("alice@x.test/phone")
)

// desk is the feature with a store behind it and its routes in front.
type desk struct {
	t   *testing.T
	f   im.Feature
	mux *http.ServeMux
	s   *file.Store
	now time.Time
}

func start(t *testing.T, change func(*file.Config)) *desk {
	t.Helper()
	db := storetest.SQLite(t)
	if err := db.Migrate(t.Context(), []store.Migrations{file.Migrations()}); err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, mux: http.NewServeMux(), now: time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)}
	conf := file.Config{DB: db, Dir: t.TempDir(), Limits: file.DefaultLimits(), Strip: true, Now: func() time.Time { return d.now }}
	if change != nil {
		change(&conf)
	}
	var err error
	if d.s, err = file.Open(t.Context(), conf); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.s.Close() })
	d.f = Feature(Config{Files: d.s, Base: func(string) string { return "https://x.test:8443" }, Keep: conf.Keep,
		Now: conf.Now, Log: slog.New(slog.DiscardHandler)})
	for _, r := range d.f.HTTP {
		d.mux.Handle(r.Pattern, r.Handler)
	}
	return d
}

// ask sends a slot request.
func (d *desk) ask(from jid.JID, request string) (*elem.Element, error) {
	d.t.Helper()
	p, err := elem.Parse([]byte(request))
	if err != nil {
		d.t.Fatal(err)
	}
	q := &im.IQ{Type: stanza.Get, From: from, To: host, Payload: p, Raw: []byte(request)}
	if from.Domain() == host.Domain() {
		q.Session = &session.Session{}
	}
	return d.f.IQ[0].Handle(d.t.Context(), q)
}

// slot gives the paths to upload to and download from.
func (d *desk) slot(attrs string, kids ...string) (put, get string) {
	d.t.Helper()
	e, err := d.ask(alice, `<request xmlns='urn:xmpp:http:upload:0' `+attrs+`>`+strings.Join(kids, "")+`</request>`)
	if err != nil {
		d.t.Fatal(err)
	}
	path := func(kind string) string {
		p, ok := strings.CutPrefix(e.Child(space, kind).Attr("url"), "https://x.test:8443")
		if !ok {
			d.t.Fatalf("%s", e.AppendTo(nil, ""))
		}
		return p
	}
	return path("put"), path("get")
}

func (d *desk) do(method, path string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	d.t.Helper()
	r := httptest.NewRequest(method, "https://x.test:8443"+path, body)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r)
	return w
}

// add uploads a file and gives its path.
func (d *desk) add(name, media, content string) (get string) {
	d.t.Helper()
	put, get := d.slot(fmt.Sprintf("filename='%s' size='%d' content-type='%s'", name, len(content), media))
	if w := d.do("PUT", put, strings.NewReader(content), "Content-Type", media); w.Code != 201 {
		d.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return get
}

// XEP-0363 §3: what makes clients find it.
func TestFeature_isAnnounced(t *testing.T) {
	f := start(t, nil).f
	want := "urn:xmpp:http:upload:0 urn:xmpp:http:upload:purpose:0#message urn:xmpp:http:upload:purpose:0#profile " +
		"urn:xmpp:http:upload:purpose:0#ephemeral urn:xmpp:http:upload:purpose:0#permanent"
	if got := strings.Join(f.HostFeatures, " "); got != want {
		t.Errorf("%s", got)
	}
	if id := f.Identities[0]; id.Category != "store" || id.Type != "file" {
		t.Errorf("%+v", id)
	}
	short := start(t, func(c *file.Config) { c.Keep = time.Hour }).f // nothing is permanent there
	if got := strings.Join(short.HostFeatures, " "); strings.Contains(got, "permanent") {
		t.Errorf("%s", got)
	}
	x := Form(5242880)
	if v, _ := x.Value("max-file-size"); v != "5242880" || x.Kind() != space || x.Element().Space != form.Space {
		t.Errorf("%s", x.Element().AppendTo(nil, ""))
	}
}

func TestSlot_addresses(t *testing.T) {
	d := start(t, nil)
	for name, want := range map[string]string{"très cool.jpg": "tr%C3%A8s%20cool.jpg", "../x/a#b?c.png": "a%23b_c.png", "a&amp;b.txt": "a&b.txt", "..": "file"} {
		put, get := d.slot("filename='" + name + "' size='10'")
		// XEP-0363 §4: the name and its ending stay, what is not ASCII is percent-encoded.
		if !strings.HasSuffix(put, "/"+want) || !strings.HasSuffix(get, "/"+want) {
			t.Errorf("%s: %s %s", name, put, get)
		}
		if _, err := url.Parse(get); err != nil || put == get {
			t.Errorf("%s %s %v", put, get, err)
		}
	}
}

func TestSlot_refusals(t *testing.T) {
	d := start(t, func(c *file.Config) { c.Limits.Size, c.Limits.PerDay, c.Limits.Total = 1000, 1500, 1800 })
	req := func(attrs, kids string) string {
		return `<request xmlns='urn:xmpp:http:upload:0' ` + attrs + `>` + kids + `</request>`
	}
	for _, c := range []struct {
		name, request string
		from          jid.JID
		condition     string
	}{
		{"no name", req("size='1'", ""), alice, "bad-request"},
		{"no size", req("filename='x'", ""), alice, "bad-request"},
		{"no bytes", req("filename='x' size='0'", ""), alice, "bad-request"}, // §12: a positive integer
		{"less than none", req("filename='x' size='-1'", ""), alice, "bad-request"},
		{"not a number", req("filename='x' size='1e3'", ""), alice, "bad-request"},
		{"beyond 64 bits", req("filename='x' size='18446744073709551617'", ""), alice, "bad-request"},
		{"type", req("filename='x' size='1' content-type='a&#10;b: c'", ""), alice, "bad-request"},
		{"type without a slash", req("filename='x' size='1' content-type='text'", ""), alice, "bad-request"},
		{"purpose", req("filename='x' size='1'", "<other xmlns='urn:xmpp:http:upload:purpose:0'/>"), alice, "feature-not-implemented"},
		{"no end", req("filename='x' size='1'", "<ephemeral xmlns='urn:xmpp:http:upload:purpose:0'/>"), alice, "bad-request"},
		{"in the past", req("filename='x' size='1'", "<ephemeral xmlns='urn:xmpp:http:upload:purpose:0' expire-before='2020-01-01T00:00:00Z'/>"), alice, "bad-request"},
		{"too large", req("filename='x' size='1001'", ""), alice, "not-acceptable"},
		{"a stranger", req("filename='x' size='1'", ""), jid.MustParse("eve@y.test/1"), "forbidden"}, // HARDENING S5
	} {
		_, err := d.ask(c.from, c.request)
		se, ok := errors.AsType[*stanza.Error](err)
		if !ok || se.Condition != c.condition {
			t.Errorf("%s: %v, want %s", c.name, err, c.condition)
			continue
		}
		// XEP-0363 §6: the limit goes with the error.
		if c.condition == "not-acceptable" {
			if s := string(se.Element().AppendTo(nil, "")); se.Type != "modify" || !strings.Contains(s, "max-file-size") || !strings.Contains(s, ">1000<") {
				t.Errorf("%s", s)
			}
		}
	}
	d.slot("filename='x' size='1000'")
	_, err := d.ask(alice, req("filename='x' size='600'", ""))
	se, _ := errors.AsType[*stanza.Error](err)
	if se == nil || se.Condition != "resource-constraint" || se.Type != "wait" || se.App == nil || se.App.Local != "retry" || se.App.Attr("stamp") != "2026-11-26T08:00:00Z" {
		t.Errorf("over the day's quota: %v", err)
	}
	d.now = d.now.Add(time.Hour)
	d.add("x", "text/plain", strings.Repeat("x", 1000))
	d.now = d.now.Add(25 * time.Hour)
	_, err = d.ask(alice, req("filename='x' size='900'", ""))
	if se, _ := errors.AsType[*stanza.Error](err); se == nil || se.Condition != "resource-constraint" || se.Type != "cancel" || se.App != nil {
		t.Errorf("over the quota of all: %v", err) // waiting does not help
	}
}

func TestPut_table(t *testing.T) {
	d := start(t, nil)
	put, get := d.slot("filename='a.png' size='5' content-type='image/png'")
	for _, c := range []struct {
		name   string
		path   string
		body   io.Reader
		header []string
		status int
	}{
		{"larger", put, strings.NewReader("hello!"), []string{"Content-Type", "image/png"}, 413},
		{"smaller", put, strings.NewReader("hell"), []string{"Content-Type", "image/png"}, 413},
		{"chunked", put, io.MultiReader(strings.NewReader("hello")), []string{"Content-Type", "image/png"}, 411},
		{"another type", put, strings.NewReader("hello"), []string{"Content-Type", "text/html"}, 415},
		{"a part", put, strings.NewReader("hello"), []string{"Content-Type", "image/png", "Content-Range", "bytes 0-4/5"}, 400},
		{"packed", put, strings.NewReader("hello"), []string{"Content-Type", "image/png", "Content-Encoding", "gzip"}, 415},
		{"unknown", "/upload/AAAAAAAAAAAAAAAAAAAAAAAAAA/a.png", strings.NewReader("hello"), nil, 404},
		{"the file's own address", get, strings.NewReader("hello"), []string{"Content-Type", "image/png"}, 404},
		{"no slot", "/upload/", strings.NewReader("hello"), nil, 404},
		{"as it should be", put, strings.NewReader("hello"), []string{"Content-Type", "image/png"}, 201},
		{"again", put, strings.NewReader("hello"), []string{"Content-Type", "image/png"}, 409},
	} {
		if w := d.do("PUT", c.path, c.body, c.header...); w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.status)
		}
	}
	late, _ := d.slot("filename='b' size='1'")
	d.now = d.now.Add(6 * time.Minute)
	if w := d.do("PUT", late, strings.NewReader("x")); w.Code != 410 {
		t.Errorf("late: %d", w.Code)
	}
	if w := d.do("GET", get, nil); w.Code != 200 || w.Body.String() != "hello" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// RFC 9110 §14 and §13: ranges and conditions.
func TestGet_ranges(t *testing.T) {
	d := start(t, nil)
	get := d.add("a.bin", "application/zip", "0123456789")
	whole := d.do("GET", get, nil)
	tag := whole.Header().Get("ETag")
	if len(tag) < 34 || strings.HasPrefix(tag, "W/") || whole.Header().Get("Accept-Ranges") != "bytes" || whole.Header().Get("Content-Length") != "10" {
		t.Errorf("%v", whole.Header())
	}
	modified := whole.Header().Get("Last-Modified")
	for _, c := range []struct {
		name   string
		header []string
		status int
		body   string
		of     string // Content-Range
	}{
		{"first", []string{"Range", "bytes=0-0"}, 206, "0", "bytes 0-0/10"},
		{"middle", []string{"Range", "bytes=2-4"}, 206, "234", "bytes 2-4/10"},
		{"to the end", []string{"Range", "bytes=7-"}, 206, "789", "bytes 7-9/10"},
		{"beyond the end", []string{"Range", "bytes=7-99"}, 206, "789", "bytes 7-9/10"},
		{"suffix", []string{"Range", "bytes=-3"}, 206, "789", "bytes 7-9/10"},
		{"long suffix", []string{"Range", "bytes=-99"}, 206, "0123456789", "bytes 0-9/10"},
		{"after the end", []string{"Range", "bytes=10-"}, 416, "", "bytes */10"},
		{"backwards", []string{"Range", "bytes=4-2"}, 416, "", "*"},
		{"another unit", []string{"Range", "lines=1-2"}, 416, "", "*"},
		{"still the same", []string{"Range", "bytes=2-4", "If-Range", tag}, 206, "234", "bytes 2-4/10"},
		{"no longer", []string{"Range", "bytes=2-4", "If-Range", `"other"`}, 200, "0123456789", ""},
		{"weak", []string{"Range", "bytes=2-4", "If-Range", "W/" + tag}, 200, "0123456789", ""}, // RFC 9110 §13.1.5
		{"by date", []string{"Range", "bytes=2-4", "If-Range", modified}, 206, "234", "bytes 2-4/10"},
		{"known", []string{"If-None-Match", tag}, 304, "", ""},
		{"known, among others", []string{"If-None-Match", `"x", W/` + tag}, 304, "", ""},
		{"any", []string{"If-None-Match", "*"}, 304, "", ""},
		{"not known", []string{"If-None-Match", `"x"`}, 200, "0123456789", ""},
		{"match fails", []string{"If-Match", `"x"`}, 412, "", ""},
		{"not modified", []string{"If-Modified-Since", modified}, 304, "", ""},
		{"many ranges", []string{"Range", "bytes=0-0" + strings.Repeat(",0-0", 50)}, 200, "0123456789", ""},
		{"more than all", []string{"Range", "bytes=0-9,0-9"}, 200, "0123456789", ""},
	} {
		w := d.do("GET", get, nil, c.header...)
		of := w.Header().Get("Content-Range")
		if w.Code != c.status || c.status < 300 && w.Body.String() != c.body || c.of != "*" && of != c.of {
			t.Errorf("%s: %d %q %q, want %d %q %q", c.name, w.Code, w.Body, of, c.status, c.body, c.of)
		}
		if h := d.do("HEAD", get, nil, c.header...); c.status < 300 && (h.Body.Len() != 0 || h.Header().Get("Content-Length") != w.Header().Get("Content-Length")) {
			t.Errorf("%s: HEAD has %d bytes, says %s, GET %s", c.name, h.Body.Len(), h.Header().Get("Content-Length"), w.Header().Get("Content-Length"))
		}
	}
	w := d.do("GET", get, nil, "Range", "bytes=0-1,8-9")
	kind, params, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if w.Code != 206 || kind != "multipart/byteranges" || err != nil {
		t.Fatalf("%d %s", w.Code, kind)
	}
	parts := multipart.NewReader(w.Body, params["boundary"])
	for _, want := range []string{"01", "89"} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(p); string(b) != want {
			t.Errorf("%q, want %q", b, want)
		}
	}
}

// HARDENING H3: whatever it is, a browser keeps it as a file and runs nothing.
func TestGet_headers(t *testing.T) {
	d := start(t, nil)
	for media, want := range map[string]string{
		"image/png": "image/png", "video/mp4": "video/mp4", "audio/ogg": "audio/ogg", "text/plain": "text/plain; charset=utf-8",
		"text/html": "application/octet-stream", "image/svg+xml": "application/octet-stream", "application/xhtml+xml": "application/octet-stream",
		"text/xml": "application/octet-stream", "application/pdf": "application/octet-stream", "text/javascript": "application/octet-stream",
		"multipart/related": "application/octet-stream", "message/rfc822": "application/octet-stream",
	} {
		get := d.add("a b.html", media, "<script>alert(1)</script>"+media)
		for _, method := range []string{"GET", "HEAD"} {
			h := d.do(method, get, nil).Header()
			for k, v := range map[string]string{
				"Content-Type": want, "Content-Disposition": `attachment; filename="a b.html"`, "X-Content-Type-Options": "nosniff",
				"Content-Security-Policy": policy, "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "", "Set-Cookie": "",
				"Cache-Control": "private, no-cache",
			} {
				if h.Get(k) != v {
					t.Errorf("%s %s: %s %q, want %q", method, media, k, h.Get(k), v)
				}
			}
		}
	}
	if !strings.Contains(policy, "sandbox;") || strings.Contains(policy, "allow-") || !strings.Contains(policy, "default-src 'none'") {
		t.Error(policy)
	}
	for name, want := range map[string]string{"日本.txt": "attachment; filename*=utf-8''%E6%97%A5%E6%9C%AC.txt", "a&quot;b;.txt": `attachment; filename="a_b;.txt"`} {
		if got := d.do("GET", d.add(name, "text/plain", name), nil).Header().Get("Content-Disposition"); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// XEP-0363 §8: pages of other origins, without credentials.
func TestPreflight_ofAnyOrigin(t *testing.T) {
	d := start(t, nil)
	for path, methods := range map[string]string{"/upload/x/a.png": "PUT, OPTIONS", "/file/x/a.png": "GET, HEAD, OPTIONS", "/file/x/a.png/thumbnail": "GET, HEAD, OPTIONS"} {
		w := d.do("OPTIONS", path, nil, "Origin", "https://other.test", "Access-Control-Request-Method", "PUT")
		h := w.Header()
		if w.Code != 204 || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Methods") != methods ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Content-Type") || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
	}
	for _, r := range d.f.HTTP {
		if !r.Public || !r.Long {
			t.Errorf("%s is not for other origins, or has one deadline for all", r.Pattern)
		}
	}
}

// The gate, as a browser meets it.
func TestGet_gate(t *testing.T) {
	d := start(t, func(c *file.Config) { c.Scanned = true })
	get := d.add("a.png", "image/png", "hello")
	id := strings.Split(get, "/")[2]
	for _, c := range []struct {
		to     file.State
		status int
	}{{file.Pending, 503}, {file.Clean, 200}, {file.Held, 403}, {file.Clean, 200}, {file.Refused, 403}} {
		if err := d.s.Move(t.Context(), id, c.to, "test"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{get, get + "/thumbnail"} {
			status := c.status
			if status == 200 && path != get {
				status = 404 // five letters are no picture
			}
			for _, header := range [][]string{nil, {"Range", "bytes=0-0"}, {"If-None-Match", "*"}} {
				w := d.do("GET", path, nil, header...)
				if status == 200 && (w.Code == 206 || w.Code == 304) {
					continue
				}
				if w.Code != status {
					t.Errorf("%s, %s %v: %d, want %d", c.to, path, header, w.Code, status)
				}
				if status != 200 && (strings.Contains(w.Body.String(), "hello") || w.Header().Get("ETag") != "") {
					t.Errorf("%s: the answer tells of the content: %v %s", c.to, w.Header(), w.Body)
				}
			}
		}
	}
	_, eph := d.slot("filename='x' size='1'", "<ephemeral xmlns='urn:xmpp:http:upload:purpose:0' expire-before='2026-11-25T09:00:00Z'/>")
	for path, status := range map[string]int{eph: 404, "/file/AAAAAAAAAAAAAAAAAAAAAAAAAA/x": 404, "/file/x": 404, "/file/": 404, "/file/a/b/c": 404} {
		if w := d.do("GET", path, nil); w.Code != status {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestGet_ephemeral(t *testing.T) {
	d := start(t, nil)
	put, get := d.slot("filename='x' size='1'", "<ephemeral xmlns='urn:xmpp:http:upload:purpose:0' expire-before='2026-11-25T09:00:00Z'/>")
	if w := d.do("PUT", put, strings.NewReader("x")); w.Code != 201 {
		t.Fatal(w.Code)
	}
	for _, status := range []int{200, 410} { // XEP-0363 §5.3
		if w := d.do("GET", get, nil); w.Code != status {
			t.Errorf("%d, want %d", w.Code, status)
		}
		d.now = d.now.Add(time.Hour)
	}
}

func TestThumbnail_isAnnounced(t *testing.T) {
	d := start(t, nil)
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 900, 600))); err != nil {
		t.Fatal(err)
	}
	put, _ := d.slot(fmt.Sprintf("filename='a.png' size='%d' content-type='image/png'", b.Len()))
	w := d.do("PUT", put, bytes.NewReader(b.Bytes()), "Content-Type", "image/png")
	link, params, _ := strings.Cut(w.Header().Get("Link"), ">")
	if w.Code != 201 || params != `; rel="preview"; type="image/jpeg"` {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	w = d.do("GET", strings.TrimPrefix(link, "<"), nil)
	img, kind, err := image.Decode(w.Body)
	if w.Code != 200 || kind != "jpeg" || err != nil || img.Bounds().Dx() != 320 || w.Header().Get("Content-Type") != "image/jpeg" ||
		w.Header().Get("Content-Security-Policy") != policy || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("%d %v %s %v", w.Code, w.Header(), kind, err)
	}
}
