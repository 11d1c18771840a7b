package picture

import (
	"encoding/binary"
	"hash/crc32"
)

// pngKept are the chunks a decoder needs, by colour and by movement. No other
// ancillary chunk stays: text, time, Exif, makers' own.
var pngKept = map[string]bool{
	"IHDR": true, "PLTE": true, "IDAT": true, "IEND": true, "tRNS": true,
	"cHRM": true, "gAMA": true, "iCCP": true, "sBIT": true, "sRGB": true, "cICP": true, "mDCV": true, "cLLI": true,
	"bKGD": true, "hIST": true, "pHYs": true, "sPLT": true, "acTL": true, "fcTL": true, "fdAT": true,
}

// exifMost bounds the Exif data that is looked at for an orientation.
const exifMost = 64 << 10

func (p *Plan) png() error {
	f := newFollow(p.src, int64(len(pngMagic)), p.size)
	p.keep(0, f.at)
	for first, pixels := true, false; ; first = false {
		begin := f.at
		var head [8]byte
		if err := f.read(head[:]); err != nil {
			return p.cut(pixels, err)
		}
		n, kind := int64(binary.BigEndian.Uint32(head[:4])), string(head[4:])
		if n > 1<<31-1 || first != (kind == "IHDR") {
			return ErrNot
		}
		pixels = pixels || kind == "IDAT"
		if kind == "eXIf" && n <= exifMost {
			if err := p.pngExif(f, begin, n); err != nil {
				return p.cut(pixels, err)
			}
			continue
		}
		if err := f.skip(n + 4); err != nil { // and the checksum
			if pixels && kind == "IDAT" {
				p.keep(begin, f.at)
			}
			return p.cut(pixels, err)
		}
		if pngKept[kind] {
			p.keep(begin, f.at)
		}
		if kind == "IEND" {
			return nil // whatever follows belongs to no picture
		}
	}
}

func (p *Plan) pngExif(f *follow, begin, n int64) error {
	data := make([]byte, n+4)
	if err := f.read(data); err != nil {
		return err
	}
	v := orientation(data[:n])
	if p.orientation != 0 || v < 2 {
		return nil
	}
	p.orientation = v
	tiff := oriented(v)
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(tiff)))
	chunk = append(append(chunk, "eXIf"...), tiff...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return p.put(chunk, begin, f.at)
}
