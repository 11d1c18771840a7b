package picture

import (
	"bytes"
	"errors"
	"io"
)

// Format is what the first bytes of a file say it is.
type Format string

// The formats this package reads. GIF only for thumbnails.
const (
	JPEG Format = "jpeg"
	PNG  Format = "png"
	WebP Format = "webp"
	GIF  Format = "gif"
)

// ErrNot says that something is no picture of a kind we read, or not a whole one.
var ErrNot = errors.New("picture: not one that can be read")

const pngMagic = "\x89PNG\r\n\x1a\n"

// Sniff tells the format by the first 12 bytes; "" if it is none of ours.
func Sniff(head []byte) Format {
	switch {
	case bytes.HasPrefix(head, []byte{0xFF, 0xD8, 0xFF}):
		return JPEG
	case bytes.HasPrefix(head, []byte(pngMagic)):
		return PNG
	case len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP":
		return WebP
	case bytes.HasPrefix(head, []byte("GIF87a")), bytes.HasPrefix(head, []byte("GIF89a")):
		return GIF
	}
	return ""
}

// Plan says which bytes of a picture stay: everything a decoder needs, nothing
// that tells where, when and with what it was made.
type Plan struct {
	src   io.ReaderAt
	size  int64
	parts []part
	// orientation of the Exif data found (1 to 8); 0: none was found.
	orientation int
}

// part is a span of the source or, if text is not nil, bytes of our own.
type part struct {
	from, to int64
	text     []byte
}

// maxParts bounds what a picture made of crumbs can make us hold; no camera's
// or program's has more than a few.
const maxParts = 1 << 14

// Clean reads a picture's structure and plans its copy without metadata. The
// coded picture itself is not touched: not a pixel changes. The orientation
// stays. The error is ErrNot if it is not a JPEG, PNG or WebP whose structure
// can be followed up to its pixels.
func Clean(src io.ReaderAt, size int64) (*Plan, error) {
	head := make([]byte, 12)
	n, err := src.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	p := &Plan{src: src, size: size}
	switch Sniff(head[:n]) {
	case JPEG:
		err = p.jpeg()
	case PNG:
		err = p.png()
	case WebP:
		err = p.webp()
	default:
		return nil, ErrNot
	}
	if err == nil && len(p.parts) > maxParts {
		err = ErrNot
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// keep takes bytes of the source over.
func (p *Plan) keep(from, to int64) {
	if from >= to {
		return
	}
	if n := len(p.parts); n > 0 && p.parts[n-1].text == nil && p.parts[n-1].to == from {
		p.parts[n-1].to = to
		return
	}
	if len(p.parts) <= maxParts {
		p.parts = append(p.parts, part{from: from, to: to})
	}
}

// put writes bytes of our own in the place of the source's from..to; if they
// are the same the source's are kept.
func (p *Plan) put(text []byte, from, to int64) error {
	if to-from == int64(len(text)) {
		old := make([]byte, len(text))
		if _, err := p.src.ReadAt(old, from); err != nil {
			return err
		}
		if bytes.Equal(old, text) {
			p.keep(from, to)
			return nil
		}
	}
	if len(p.parts) <= maxParts {
		p.parts = append(p.parts, part{text: text})
	}
	return nil
}

// Removes says whether anything is left out.
func (p *Plan) Removes() bool {
	return len(p.parts) != 1 || p.parts[0].text != nil || p.parts[0].from != 0 || p.parts[0].to != p.size
}

// Orientation is how the picture must be turned (EXIF: 1 to 8); 1 if nothing says so.
func (p *Plan) Orientation() int { return max(p.orientation, 1) }

// Copy writes what the plan keeps.
func (p *Plan) Copy(dst io.Writer) (n int64, err error) {
	for _, s := range p.parts {
		var k int64
		if s.text != nil {
			var m int
			m, err = dst.Write(s.text)
			k = int64(m)
		} else {
			k, err = io.Copy(dst, io.NewSectionReader(p.src, s.from, s.to-s.from))
		}
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}
