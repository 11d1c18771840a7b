package upload

import (
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im/file"
)

// policy is for every answer: should a browser open a file as a page after
// all, the page can do nothing and is of no origin (HARDENING H3).
const policy = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// open makes an answer one that pages of any origin may read, without their
// visitor's cookies (XEP-0363 §8), and in which nothing runs.
func open(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Disposition, Content-Length, Content-Range, ETag, Link, Location, Retry-After")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // pictures in web clients elsewhere
	h.Set("X-Content-Type-Options", "nosniff")
}

// preflight answers what a browser asks before it lets a page upload.
func preflight(w http.ResponseWriter, r *http.Request) {
	open(w)
	h := w.Header()
	methods := "GET, HEAD, OPTIONS"
	if strings.HasPrefix(r.URL.Path, "/upload/") {
		methods = "PUT, OPTIONS"
	}
	h.Set("Allow", methods)
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", "Content-Type, If-None-Match, If-Range, Range")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// shown are the picture types of which there are thumbnails.
var shown = map[string]bool{"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true}

// harmless are the types that keep their name: none that a browser makes a
// document of, with scripts or without. Sounds and films are too.
var harmless = map[string]bool{
	"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true, "image/avif": true, "image/heic": true,
	"image/heif": true, "image/bmp": true, "image/tiff": true, "image/jxl": true, "image/apng": true,
	"application/zip": true, "application/gzip": true, "application/x-tar": true,
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   true,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         true,
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": true,
	"application/vnd.oasis.opendocument.text":                                   true,
}

// served is the type a file is served as.
func served(media string) string {
	switch {
	case harmless[media], strings.HasPrefix(media, "audio/"), strings.HasPrefix(media, "video/"):
		return media
	case media == "text/plain":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// get serves a file, whole or in ranges (RFC 9110 §14), and its head.
func (u *upload) get(w http.ResponseWriter, r *http.Request) {
	open(w)
	f, ok := u.find(w, r)
	if !ok {
		return
	}
	c, err := u.Files.Open(r.Context(), f)
	if err != nil {
		u.fault(w, r, err)
		return
	}
	defer c.Close()
	w.Header().Set("Content-Type", served(f.Media))
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	serve(w, r, f.Hash, f.Created, c)
}

// thumbnail serves a small JPEG of a picture.
func (u *upload) thumbnail(w http.ResponseWriter, r *http.Request) {
	open(w)
	f, ok := u.find(w, r)
	if !ok {
		return
	}
	c, _, hash, err := u.Files.Thumb(r.Context(), f)
	if err != nil {
		u.fault(w, r, err)
		return
	}
	defer c.Close()
	w.Header().Set("Content-Type", file.ThumbMedia)
	w.Header().Set("Content-Disposition", `attachment; filename="thumbnail.jpg"`)
	serve(w, r, hash, f.Created, c)
}

// find looks a file up and asks its gate.
func (u *upload) find(w http.ResponseWriter, r *http.Request) (*file.File, bool) {
	f, err := u.Files.Find(r.Context(), r.PathValue("id"))
	if err == nil {
		err = f.Gate(u.Now())
	}
	if err != nil {
		u.fault(w, r, err)
		return nil, false
	}
	return f, true
}

// maxRanges is how many parts one request may ask for; more are answered with
// the whole (RFC 9110 §14.2: a server may ignore the header).
const maxRanges = 8

// serve writes what was asked for. The content never changes; what can change
// is the gate, so that caches ask each time (and are told 304).
func serve(w http.ResponseWriter, r *http.Request, hash string, at time.Time, c io.ReadSeeker) {
	h := w.Header()
	h.Set("Cache-Control", "private, no-cache")
	if sum, err := hex.DecodeString(hash); err == nil && len(sum) >= 16 {
		h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	}
	if strings.Count(strings.Join(r.Header.Values("Range"), ","), ",") >= maxRanges {
		r.Header.Del("Range")
	}
	http.ServeContent(w, r, "", at, c)
}

func (u *upload) fault(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, file.ErrUnknown):
		tell(w, http.StatusNotFound, "There is no such file.")
	case errors.Is(err, file.ErrNoThumb):
		tell(w, http.StatusNotFound, "There is no thumbnail of it.")
	case errors.Is(err, file.ErrGone):
		tell(w, http.StatusGone, "The file's time is over.")
	case errors.Is(err, file.ErrHeld):
		tell(w, http.StatusForbidden, "The file is held until somebody has looked at it.")
	case errors.Is(err, file.ErrRefused):
		tell(w, http.StatusForbidden, "The file was refused.")
	case errors.Is(err, file.ErrPending), errors.Is(err, file.ErrBusy):
		w.Header().Set("Retry-After", "5")
		tell(w, http.StatusServiceUnavailable, "Please try again in a moment.")
	case r.Context().Err() != nil: // who asked has left
		tell(w, http.StatusServiceUnavailable, "Please try again.")
	default:
		u.Log.Error("a file could not be served", "err", err)
		tell(w, http.StatusInternalServerError, "The file could not be read.")
	}
}
