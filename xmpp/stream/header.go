package stream

import (
	"strings"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Header is the opening of a stream in one direction (RFC 6120 §4.7, RFC 7395 §3.4).
type Header struct {
	To, From jid.JID // zero if absent
	ID       string
	Lang     string // well-formed or empty
}

// ReadHeader checks the opening a client sent: the scanner's Header event on
// TCP, the <open/> element on WebSocket (framed). What was readable of the
// header is returned with an error too, so that the answer can name it.
func ReadHeader(raw *elem.Raw, framed bool) (Header, *Error) {
	var h Header
	if err := checkName(raw, framed); err != nil {
		return h, err
	}
	version, err := h.readAttrs(raw)
	if err != nil {
		return h, err
	}
	// RFC 6120 §4.7.5: no version means 0.9, which knows no features; a higher
	// one than ours is answered with ours.
	if !versionAtLeast1(version) {
		return h, Fail("unsupported-version", "This server speaks XMPP 1.0; send version='1.0'.")
	}
	return h, nil
}

func checkName(raw *elem.Raw, framed bool) *Error {
	if framed {
		switch {
		case string(raw.Local) != "open":
			// RFC 7395 §3.4: the first element must be <open/>.
			return Fail("not-authorized", "Begin with <open/> (RFC 7395 §3.4).")
		case string(raw.Space) != FramedSpace:
			return Fail("invalid-namespace", "<open/> belongs to "+FramedSpace+".")
		}
		return nil
	}
	switch {
	case string(raw.Space) != Space:
		// RFC 6120 §4.9.3.10
		return Fail("invalid-namespace", "The stream header belongs to "+Space+".")
	case string(raw.Local) != "stream":
		return Fail("bad-format", "Begin with <stream:stream/> (RFC 6120 §4.2).")
	case string(raw.Default) != Client:
		// RFC 6120 §4.8.2: the content namespace of a client's stream.
		return Fail("invalid-namespace", "The default namespace of a client's stream is "+Client+".")
	}
	return nil
}

func (h *Header) readAttrs(raw *elem.Raw) (version string, bad *Error) {
	for i := range raw.Attrs {
		a := &raw.Attrs[i]
		if len(a.Prefix) > 0 {
			if string(a.Space) == elem.XMLSpace && string(a.Local) == "lang" && langTag(a.Value) {
				h.Lang = string(a.Value)
			}
			continue
		}
		var err error
		switch string(a.Local) {
		case "to":
			if h.To, err = jid.Parse(string(a.Value)); err != nil {
				bad = Fail("improper-addressing", "\"to\" is not a valid domain.") // RFC 6120 §4.9.3.7
			}
		case "from":
			if h.From, err = jid.Parse(string(a.Value)); err != nil {
				bad = Fail("invalid-from", "\"from\" is not a valid address.") // RFC 6120 §4.9.3.9
			}
		case "version":
			version = string(a.Value)
		}
	}
	return version, bad
}

// versionAtLeast1 compares as RFC 6120 §4.7.5 says: two numbers, leading zeros ignored.
func versionAtLeast1(v string) bool {
	major, minor, ok := strings.Cut(v, ".")
	return ok && digits(major) && digits(minor) && strings.TrimLeft(major, "0") != ""
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
