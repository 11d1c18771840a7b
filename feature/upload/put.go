package upload

import (
	"errors"
	"net/http"

	"github.com/parlance-im/parlance/im/file"
)

// put takes the content for a slot (XEP-0363 §7).
func (u *upload) put(w http.ResponseWriter, r *http.Request) {
	open(w)
	switch {
	case r.ContentLength < 0: // a length is what the slot was given for
		tell(w, http.StatusLengthRequired, "Say how long it is: Content-Length.")
		return
	case r.Header.Get("Content-Range") != "": // RFC 9110 §14.5: not a part for the whole
		tell(w, http.StatusBadRequest, "Send the whole file.")
		return
	case r.Header.Get("Content-Encoding") != "" && r.Header.Get("Content-Encoding") != "identity":
		tell(w, http.StatusUnsupportedMediaType, "Send the file as it is.")
		return
	}
	f, err := u.Files.Receive(r.Context(), r.PathValue("slot"),
		file.Incoming{Size: r.ContentLength, Media: r.Header.Get("Content-Type"), Body: r.Body})
	if err != nil {
		u.refusePut(w, r, err)
		return
	}
	at := address("", "file", f.ID, f.Name)
	w.Header().Set("Location", at)
	if shown[f.Media] {
		// RFC 8288 §3, relation "preview": something to point a thumbnail element to (XEP-0264 §4).
		w.Header().Set("Link", "<"+at+`/thumbnail>; rel="preview"; type="`+file.ThumbMedia+`"`)
	}
	w.WriteHeader(http.StatusCreated) // XEP-0363 §7: it can be fetched now
}

func (u *upload) refusePut(w http.ResponseWriter, r *http.Request, err error) {
	for _, c := range []struct {
		err    error
		status int
		text   string
	}{
		{file.ErrUnknown, http.StatusNotFound, "There is no such slot."},
		{file.ErrGone, http.StatusGone, "The slot has expired. Ask for another."},
		{file.ErrTaken, http.StatusConflict, "The slot has been used. Ask for another."},
		{file.ErrSize, http.StatusRequestEntityTooLarge, "It is not as long as was announced."},
		{file.ErrMedia, http.StatusUnsupportedMediaType, "It is not of the type that was announced."},
		{file.ErrForbidden, http.StatusForbidden, "This account may not upload."},
		{file.ErrFull, http.StatusInsufficientStorage, "There is no room."},
		{file.ErrBusy, http.StatusServiceUnavailable, "Please try again in a moment."},
	} {
		if !errors.Is(err, c.err) {
			continue
		}
		if c.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		if errors.Is(err, file.ErrFull) {
			u.Log.Error("upload: no room", "err", err)
		}
		tell(w, c.status, c.text)
		return
	}
	if errors.Is(err, file.ErrAborted) || r.Context().Err() != nil {
		u.Log.Debug("upload broke off", "remote", r.RemoteAddr, "err", err)
		tell(w, http.StatusBadRequest, "The upload broke off.") // nobody may be there to read it
		return
	}
	u.Log.Error("upload failed", "err", err)
	tell(w, http.StatusInternalServerError, "The file could not be kept.")
}

// tell answers in plain words.
func tell(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

func nothing(w http.ResponseWriter, _ *http.Request) {
	open(w)
	tell(w, http.StatusNotFound, "There is nothing here.")
}
