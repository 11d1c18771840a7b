package picture

import (
	"bytes"
	"encoding/binary"
)

// webpKept are the chunks a decoder needs. Exif and XMP go, and unknown ones.
var webpKept = map[string]bool{
	"VP8 ": true, "VP8L": true, "VP8X": true, "ALPH": true, "ANIM": true, "ANMF": true, "ICCP": true,
}

// Flags of VP8X.
const (
	webpXMP  = 0x04
	webpExif = 0x08
)

func (p *Plan) webp() error {
	var head [12]byte
	if _, err := p.src.ReadAt(head[:], 0); err != nil {
		return notWhole(err)
	}
	end := int64(binary.LittleEndian.Uint32(head[4:])) + 8
	if end > p.size {
		return ErrNot
	}
	var extended struct {
		chunk    []byte
		from, to int64
	}
	f := newFollow(p.src, 12, end)
	for pixels := false; f.at < end; {
		begin := f.at
		if pixels && end-begin < 8 {
			break // crumbs
		}
		var c [8]byte
		if err := f.read(c[:]); err != nil {
			return notWhole(err)
		}
		kind, n := string(c[:4]), int64(binary.LittleEndian.Uint32(c[4:]))
		switch {
		case kind == "VP8X" && n == 10 && extended.chunk == nil:
			extended.chunk = append(c[:], make([]byte, 10)...)
			if err := f.read(extended.chunk[8:]); err != nil {
				return notWhole(err)
			}
			extended.from, extended.to = begin, f.at
			p.keep(begin, f.at) // put right below
			continue
		case kind == "EXIF" && n <= exifMost:
			if err := p.webpExif(f, begin, n); err != nil {
				return notWhole(err)
			}
			continue
		}
		if err := f.skip(n + n&1); err != nil {
			return notWhole(err)
		}
		if webpKept[kind] {
			p.keep(begin, f.at)
			pixels = pixels || kind != "VP8X" && kind != "ICCP"
		}
	}
	return p.webpHead(head[:], extended.chunk, extended.from, extended.to)
}

func (p *Plan) webpExif(f *follow, begin, n int64) error {
	data := make([]byte, n+n&1)
	if err := f.read(data); err != nil {
		return err
	}
	v := orientation(bytes.TrimPrefix(data, []byte(exifHead)))
	if p.orientation != 0 || v < 2 {
		return nil
	}
	p.orientation = v
	tiff := oriented(v)
	chunk := binary.LittleEndian.AppendUint32([]byte("EXIF"), uint32(len(tiff)))
	return p.put(append(chunk, tiff...), begin, f.at)
}

// webpHead makes the size and the flags say what is there now.
func (p *Plan) webpHead(head, extended []byte, from, to int64) error {
	kept := p.parts
	p.parts = nil
	size := int64(4) // "WEBP"
	for _, s := range kept {
		size += s.to - s.from + int64(len(s.text))
	}
	binary.LittleEndian.PutUint32(head[4:], uint32(size))
	if err := p.put(head, 0, int64(len(head))); err != nil {
		return err
	}
	if extended != nil {
		extended[8] &^= webpXMP | webpExif
		if p.orientation != 0 {
			extended[8] |= webpExif
		}
	}
	for _, s := range kept {
		switch {
		case s.text != nil:
			p.parts = append(p.parts, s)
		case extended != nil && s.from == from && s.to >= to:
			if err := p.put(extended, from, to); err != nil {
				return err
			}
			p.keep(to, s.to)
		default:
			p.keep(s.from, s.to)
		}
	}
	return nil
}
