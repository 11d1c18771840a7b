package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"testing"

	"golang.org/x/image/webp"
	"pgregory.net/rapid"
)

func clean(t interface {
	Helper()
	Fatal(...any)
}, b []byte) ([]byte, *Plan) {
	t.Helper()
	p, err := Clean(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	n, err := p.Copy(&out)
	if err != nil || n != int64(out.Len()) {
		t.Fatal(n, err)
	}
	return out.Bytes(), p
}

func decode(t interface {
	Helper()
	Fatal(...any)
}, b []byte) image.Image {
	t.Helper()
	var img image.Image
	var err error
	switch Sniff(b) {
	case JPEG:
		img, err = jpeg.Decode(bytes.NewReader(b))
	case PNG:
		img, err = png.Decode(bytes.NewReader(b))
	case WebP:
		img, err = webp.Decode(bytes.NewReader(b))
	}
	if err != nil || img == nil {
		t.Fatal("it does not decode:", err)
	}
	return img
}

func same(t interface {
	Helper()
	Fatal(...any)
}, a, b image.Image) {
	t.Helper()
	if a.Bounds() != b.Bounds() {
		t.Fatal("bounds", a.Bounds(), b.Bounds())
	}
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			if a.At(x, y) != b.At(x, y) {
				t.Fatal("pixel", x, y)
			}
		}
	}
}

func TestClean_picturesWithoutMetadataStayAsTheyAre(t *testing.T) {
	for name, b := range map[string][]byte{"jpeg": aJPEG(t, 40, 30), "png": aPNG(t, 40, 30), "webp": aWebP(t, false), "webp extended": aWebP(t, true)} {
		out, p := clean(t, b)
		if p.Removes() || !bytes.Equal(out, b) {
			t.Errorf("%s: changed", name)
		}
		if p.Orientation() != 1 {
			t.Errorf("%s: orientation %d", name, p.Orientation())
		}
	}
}

// Whatever a camera, a program or a person wrote beside the pixels goes; the
// pixels and the orientation stay; a second pass finds nothing more.
func TestClean_property(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 1))
		v := rapid.IntRange(0, 9).Draw(r, "orientation")
		tiff := exif([]binary.ByteOrder{binary.BigEndian, binary.LittleEndian}[rnd.IntN(2)], v)
		var before, dirty []byte
		switch rapid.SampledFrom([]Format{JPEG, PNG, WebP}).Draw(r, "format") {
		case JPEG:
			before = aJPEG(t, 1+rnd.IntN(60), 1+rnd.IntN(60))
			dirty = jpegWith(before, dirtySegments(rnd, tiff), dirtyTail(rnd))
		case PNG:
			before = aPNG(t, 1+rnd.IntN(60), 1+rnd.IntN(60))
			dirty = pngWith(before, dirtyChunks(rnd, tiff), dirtyTail(rnd))
		case WebP:
			before = aWebP(t, true)
			meta := chunk("EXIF", tiff)
			if rnd.IntN(2) == 0 {
				meta = chunk("EXIF", append([]byte(exifHead), tiff...))
			}
			dirty = append([]byte{}, before[12:]...)
			dirty[8] |= webpExif | webpXMP
			dirty = riff(append(append(dirty, meta...), append(chunk("XMP ", []byte(secret)), chunk("what", noise(rnd, 9))...)...))
			dirty = append(dirty, dirtyTail(rnd)...)
		}
		out, p := clean(r, dirty)
		if !p.Removes() {
			r.Fatal("nothing is removed")
		}
		if bytes.Contains(out, []byte(secret)) {
			r.Fatal("the secret is still there")
		}
		same(r, decode(r, before), decode(r, out))
		want := 1
		if v >= 1 && v <= 8 {
			want = v
		}
		again, p2 := clean(r, out)
		if p.Orientation() != want || p2.Orientation() != want {
			r.Fatal("orientation", p.Orientation(), p2.Orientation(), "want", want)
		}
		if p2.Removes() || !bytes.Equal(again, out) {
			r.Fatal("a second pass changes it")
		}
	})
}

// dirtySegments are in the order cameras use, with some more.
func dirtySegments(rnd *rand.Rand, tiff []byte) []byte {
	var b []byte
	thumb := append([]byte("JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x01\x01"), "abc"...)
	if rnd.IntN(2) == 0 {
		b = append(b, segment(0xE0, thumb)...)
	}
	b = append(b, segment(0xE1, append([]byte(exifHead), tiff...))...)
	for _, s := range [][]byte{
		segment(0xE1, []byte("http://ns.adobe.com/xap/1.0/\x00"+secret)),
		segment(0xE2, append([]byte("ICC_PROFILE\x00\x01\x01"), noise(rnd, 50)...)),
		segment(0xE2, []byte("MPF\x00"+secret)),
		segment(0xED, []byte("Photoshop 3.0\x00"+secret)),
		segment(0xFE, []byte(secret)),
		segment(0xEB, append(noise(rnd, 300), secret...)),
		{0xFF, 0xFF, 0xFF}, // fill
	} {
		if rnd.IntN(3) > 0 {
			b = append(b, s...)
		}
	}
	return b
}

func dirtyChunks(rnd *rand.Rand, tiff []byte) []byte {
	b := pngChunk("eXIf", tiff)
	for _, c := range [][]byte{
		pngChunk("tEXt", []byte("Author\x00"+secret)), pngChunk("iTXt", []byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00"+secret)),
		pngChunk("tIME", []byte{7, 0xEA, 1, 1, 1, 1, 1}), pngChunk("prVt", append(noise(rnd, 300), secret...)),
		pngChunk("gAMA", []byte{0, 0, 0xB1, 0x8F}), pngChunk("pHYs", make([]byte, 9)),
	} {
		if rnd.IntN(3) > 0 {
			b = append(b, c...)
		}
	}
	return b
}

func dirtyTail(rnd *rand.Rand) []byte {
	if rnd.IntN(2) == 0 {
		return nil
	}
	return append(noise(rnd, 300), secret...)
}

// A WebP's header says what is there, before and after.
func TestClean_webpHeaderAgrees(t *testing.T) {
	w := aWebP(t, true)
	for v, flags := range map[int]byte{0: 0x10, 1: 0x10, 6: 0x10 | webpExif} {
		dirty := append([]byte{}, w[12:]...)
		dirty[8] |= webpExif | webpXMP
		out, _ := clean(t, riff(append(append(dirty, chunk("EXIF", exif(binary.LittleEndian, v))...), chunk("XMP ", []byte(secret))...)))
		if out[20] != flags || int(binary.LittleEndian.Uint32(out[4:]))+8 != len(out) || bytes.Contains(out, []byte("EXIF")) != (v == 6) {
			t.Errorf("orientation %d: flags %#x, want %#x; %d bytes, says %d", v, out[20], flags, len(out), binary.LittleEndian.Uint32(out[4:])+8)
		}
	}
}

func TestClean_progressiveAndCutOff(t *testing.T) {
	j := aJPEG(t, 64, 64)
	dirty := jpegWith(j, segment(0xFE, []byte(secret)), nil)
	out, _ := clean(t, dirty[:len(dirty)-40]) // decoders show what there is, so it is kept
	if bytes.Contains(out, []byte(secret)) || len(out) != len(j)-40 {
		t.Errorf("%d bytes, want %d", len(out), len(j)-40)
	}
	p := aPNG(t, 64, 64)
	dirty = pngWith(p, pngChunk("tEXt", []byte(secret)), nil)
	out, _ = clean(t, dirty[:len(dirty)-20])
	if bytes.Contains(out, []byte(secret)) {
		t.Error("a cut off PNG keeps its text")
	}
}

func TestClean_notPictures(t *testing.T) {
	j, p, w := aJPEG(t, 8, 8), aPNG(t, 8, 8), aWebP(t, true)
	for name, b := range map[string][]byte{
		"empty": nil, "text": []byte("hello hello hello"), "start of a jpeg": j[:3], "jpeg without pixels": j[:30],
		"png without pixels": p[:40], "png without header": append([]byte(pngMagic), p[33:]...),
		"webp shorter than it says": w[:len(w)-3], "gif": []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"),
		"jpeg of jpegs": {0xFF, 0xD8, 0xFF, 0xD8, 0xFF, 0xD9},
		"png of crumbs": pngWith(p, bytes.Repeat(append(pngChunk("tEXt", nil), pngChunk("tRNS", nil)...), maxParts), nil),
	} {
		if _, err := Clean(bytes.NewReader(b), int64(len(b))); err == nil {
			t.Errorf("%s is taken for a picture", name)
		}
	}
}

func FuzzClean(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	tiff := exif(binary.LittleEndian, 6)
	f.Add(jpegWith(aJPEG(f, 16, 16), dirtySegments(rnd, tiff), []byte("tail")))
	f.Add(pngWith(aPNG(f, 16, 16), dirtyChunks(rnd, tiff), nil))
	f.Add(riff(append(aWebP(f, true)[12:], append(chunk("EXIF", tiff), chunk("XMP ", []byte(secret))...)...)))
	f.Add([]byte("RIFF\x1a\x00\x00\x00WEBPVP8L"))
	f.Add(tiff)
	f.Fuzz(func(t *testing.T, b []byte) {
		if v := orientation(b); v < 0 || v > 8 {
			t.Fatal(v)
		}
		p, err := Clean(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if _, err := p.Copy(&out); err != nil {
			t.Fatal(err)
		}
		if out.Len() > len(b)+64 {
			t.Fatalf("%d bytes of %d", out.Len(), len(b))
		}
		q, err := Clean(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatalf("cleaned, it is no picture: %v", err)
		}
		var again bytes.Buffer
		if _, err := q.Copy(&again); err != nil || !bytes.Equal(again.Bytes(), out.Bytes()) {
			t.Fatalf("a second pass changes it: %v", err)
		}
	})
}
