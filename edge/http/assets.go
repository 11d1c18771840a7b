package http

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// assets serves the built web client. Files are read, hashed and compressed
// when they are first asked for.
type assets struct {
	fs    fs.FS
	files sync.Map // name → *asset
}

type asset struct {
	once   sync.Once
	err    error
	etag   string
	plain  []byte
	packed []byte // gzip; nil where it does not pay
}

func newAssets(f fs.FS) *assets { return &assets{fs: f} }

// kinds are the content types of what a web client is made of; the system's
// table is not asked, it differs from machine to machine.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".json": "application/json", ".map": "application/json",
	".webmanifest": "application/manifest+json", ".txt": "text/plain; charset=utf-8", ".svg": "image/svg+xml",
	".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif", ".ico": "image/x-icon",
	".woff2": "font/woff2", ".wasm": "application/wasm", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".wav": "audio/wav",
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	// A page of the client itself has no dot in its last part: it is index.html
	// that knows what to show.
	if name == "" || !strings.Contains(path.Base(name), ".") {
		name = "index.html"
	}
	kind, known := kinds[path.Ext(name)]
	f := a.get(name)
	if !known || f == nil || strings.HasPrefix(path.Base(name), ".") {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("ETag", f.etag)
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable") // the name has a hash of the content
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	body := f.plain
	if f.packed != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			h.Set("Content-Encoding", "gzip")
			body = f.packed
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// get reads a file once; nil if there is none of that name.
func (a *assets) get(name string) *asset {
	v, ok := a.files.Load(name)
	if !ok {
		if st, err := fs.Stat(a.fs, name); err != nil || st.IsDir() {
			return nil // unknown names are not kept
		}
		v, _ = a.files.LoadOrStore(name, &asset{})
	}
	f := v.(*asset)
	f.once.Do(func() { f.load(a.fs, name) })
	if f.err != nil {
		return nil
	}
	return f
}

func (f *asset) load(from fs.FS, name string) {
	if f.plain, f.err = fs.ReadFile(from, name); f.err != nil {
		return
	}
	sum := sha256.Sum256(f.plain)
	f.etag = `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	switch path.Ext(name) {
	case ".png", ".jpg", ".webp", ".gif", ".woff2", ".mp3", ".ogg":
		return
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return
	}
	if _, err = z.Write(f.plain); err == nil && z.Close() == nil && b.Len() < len(f.plain)*9/10 {
		f.packed = b.Bytes()
	}
}

func acceptsGzip(r *http.Request) bool {
	for v := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(v), ";")
		if strings.EqualFold(name, "gzip") {
			return strings.TrimLeft(strings.TrimPrefix(strings.ReplaceAll(q, " ", ""), "q="), "0.") != "" || q == ""
		}
	}
	return false
}
