package picture

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"testing"
)

// secret is what must not be in a cleaned picture.
const secret = "48.8584N 2.2945E taken by Alice"

// plain draws a picture whose corners differ, so that turns can be told.
func plain(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{uint8(x * 255 / w), uint8(y * 255 / h), uint8((x ^ y) & 63), 255})
		}
	}
	return img
}

func aJPEG(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, plain(w, h), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func aPNG(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, plain(w, h)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// aWebP is one lossless pixel; extended gives it a VP8X chunk.
func aWebP(t testing.TB, extended bool) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	if !extended {
		return b
	}
	return riff(append(chunk("VP8X", []byte{0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0}), b[12:]...))
}

// exif is TIFF data as cameras write it: with an orientation and with more.
func exif(order binary.ByteOrder, v int) []byte {
	var b []byte
	if order == binary.BigEndian {
		b = []byte("MM\x00*\x00\x00\x00\x08")
	} else {
		b = []byte("II*\x00\x08\x00\x00\x00")
	}
	at := len(b)
	b = append(b, make([]byte, 2+2*12+4)...)
	order.PutUint16(b[at:], 2)
	e := b[at+2:]
	order.PutUint16(e, 0x010F) // maker
	order.PutUint16(e[2:], 2)
	order.PutUint32(e[4:], uint32(len(secret)+1))
	order.PutUint32(e[8:], uint32(len(b)))
	e = e[12:]
	order.PutUint16(e, 0x0112)
	order.PutUint16(e[2:], 3)
	order.PutUint32(e[4:], 1)
	order.PutUint16(e[8:], uint16(v))
	return append(append(b, secret...), 0)
}

func segment(marker byte, data []byte) []byte {
	b := []byte{0xFF, marker, 0, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(len(data)+2))
	return append(b, data...)
}

// jpegWith puts segments behind the start and bytes behind the end.
func jpegWith(j []byte, segments, tail []byte) []byte {
	out := append([]byte{}, j[:2]...)
	out = append(out, segments...)
	out = append(out, j[2:]...)
	return append(out, tail...)
}

func pngChunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngWith puts chunks behind the header.
func pngWith(p []byte, chunks, tail []byte) []byte {
	const at = 8 + 25
	out := append([]byte{}, p[:at]...)
	out = append(out, chunks...)
	out = append(out, p[at:]...)
	return append(out, tail...)
}

func chunk(kind string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(data)))
	b = append(b, data...)
	if len(data)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

func riff(chunks []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(chunks)+4))
	return append(append(b, "WEBP"...), chunks...)
}

func noise(r *rand.Rand, most int) []byte {
	b := make([]byte, r.IntN(most))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
