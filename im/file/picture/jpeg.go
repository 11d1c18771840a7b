package picture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
)

// Markers of a JPEG (ISO/IEC 10918-1 B.1.1.3).
const (
	mSOF2 = 0xC2 // progressive
	mSOI  = 0xD8
	mEOI  = 0xD9
	mSOS  = 0xDA
	mAPP0 = 0xE0
	mAPP1 = 0xE1
	mAPP2 = 0xE2
	mAPPE = 0xEE
	mAPPF = 0xEF
	mCOM  = 0xFE
)

// follow reads a source front to back and knows where it is.
type follow struct {
	r  *bufio.Reader
	at int64
}

func newFollow(src io.ReaderAt, from, to int64) *follow {
	return &follow{bufio.NewReaderSize(io.NewSectionReader(src, from, to-from), 32<<10), from}
}

func (f *follow) byte() (byte, error) {
	b, err := f.r.ReadByte()
	if err == nil {
		f.at++
	}
	return b, err
}

func (f *follow) read(p []byte) error {
	n, err := io.ReadFull(f.r, p)
	f.at += int64(n)
	return err
}

// skip passes over n bytes; it fails at the end of the source.
func (f *follow) skip(n int64) error {
	for n > 0 {
		k, err := f.r.Discard(int(min(n, 1<<30)))
		f.at += int64(k)
		n -= int64(k)
		if err != nil {
			return err
		}
	}
	return nil
}

// jpeg plans a JPEG. What a picture needs stays: tables, frames, scans, JFIF
// without its thumbnail, the colour profile, Adobe's colour transform. Exif,
// XMP, IPTC, comments, other pictures behind the first, makers' own: go.
func (p *Plan) jpeg() error {
	f := newFollow(p.src, 2, p.size)
	p.keep(0, 2) // SOI
	for scanned := false; ; {
		m, err := f.marker()
		if err != nil {
			if scanned && err == io.EOF {
				return nil // cut off, as some are: decoders show what there is
			}
			return notWhole(err)
		}
		switch {
		case m == mEOI:
			p.keep(f.at-2, f.at)
			return nil // whatever follows belongs to no picture
		case m == 0x01, m >= 0xD0 && m <= 0xD7:
			p.keep(f.at-2, f.at)
			continue
		case m == mSOI:
			return ErrNot
		}
		var size [2]byte
		if err := f.read(size[:]); err != nil {
			return p.cut(scanned, err)
		}
		n := int64(binary.BigEndian.Uint16(size[:])) - 2
		if n < 0 {
			return ErrNot
		}
		if err := p.segment(f, m, n); err != nil {
			return p.cut(scanned, err)
		}
		if m == mSOS {
			scanned = true
			if err := p.scan(f); err != nil {
				return err
			}
		}
	}
}

// cut ends a JPEG that is not whole: fine once there are pixels.
func (p *Plan) cut(scanned bool, err error) error {
	if scanned && (err == io.EOF || err == io.ErrUnexpectedEOF) {
		return nil
	}
	return notWhole(err)
}

func notWhole(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrNot
	}
	return err
}

// marker goes to the next marker. Bytes before it, which decoders skip, are not kept.
func (f *follow) marker() (byte, error) {
	for {
		b, err := f.byte()
		if err != nil {
			return 0, err
		}
		if b != 0xFF {
			continue
		}
		for b == 0xFF { // fill bytes
			if b, err = f.byte(); err != nil {
				return 0, err
			}
		}
		if b != 0 {
			return b, nil
		}
	}
}

// segment decides on one of n bytes behind its marker and length. f goes to its end.
func (p *Plan) segment(f *follow, m byte, n int64) error {
	begin, end := f.at-4, f.at+n
	if m != mCOM && (m < mAPP0 || m > mAPPF) {
		if err := f.skip(n); err != nil {
			return err
		}
		p.keep(begin, end)
		return nil
	}
	data := make([]byte, n)
	if err := f.read(data); err != nil {
		return err
	}
	switch {
	case m == mAPP0 && bytes.HasPrefix(data, []byte("JFIF\x00")) && n >= 14:
		if n == 14 {
			p.keep(begin, end)
			return nil
		}
		seg := append([]byte{0xFF, mAPP0, 0, 16}, data[:14]...)
		seg[16], seg[17] = 0, 0 // the thumbnail's size
		return p.put(seg, begin, end)
	case m == mAPP1 && bytes.HasPrefix(data, []byte(exifHead)):
		v := orientation(data[len(exifHead):])
		if p.orientation != 0 || v < 2 {
			return nil
		}
		p.orientation = v
		seg := append([]byte{0xFF, mAPP1, 0, 0}, exifHead...)
		seg = append(seg, oriented(v)...)
		binary.BigEndian.PutUint16(seg[2:], uint16(len(seg)-2))
		return p.put(seg, begin, end)
	case m == mAPP2 && bytes.HasPrefix(data, []byte("ICC_PROFILE\x00")),
		m == mAPPE && bytes.HasPrefix(data, []byte("Adobe")):
		p.keep(begin, end)
	}
	return nil
}

// scan passes over coded data up to the next marker that is not part of it.
func (p *Plan) scan(f *follow) error {
	begin := f.at
	for {
		two, err := f.r.Peek(2)
		if len(two) < 2 { // the end, without an end marker
			if err != io.EOF {
				return err
			}
			err = f.skip(int64(len(two)))
			p.keep(begin, f.at)
			return err
		}
		buf, err := f.r.Peek(f.r.Buffered())
		if err != nil {
			return err
		}
		n := bytes.IndexByte(buf, 0xFF)
		switch {
		case n < 0:
			n = len(buf)
		case n > 0:
		case buf[1] == 0, buf[1] >= 0xD0 && buf[1] <= 0xD7: // a stuffed byte, a restart
			n = 2
		case buf[1] == 0xFF: // a fill byte
			n = 1
		default:
			p.keep(begin, f.at)
			return nil
		}
		if err := f.skip(int64(n)); err != nil {
			return err
		}
	}
}
