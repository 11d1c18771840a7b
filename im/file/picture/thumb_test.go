package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"
)

func thumb(t *testing.T, m *Maker, b []byte) image.Image {
	t.Helper()
	out, err := m.Make(t.Context(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestMake_fitsAndIsUpright(t *testing.T) {
	m := NewMaker(Limits{Edge: 80})
	var g bytes.Buffer
	if err := gif.Encode(&g, plain(200, 100), nil); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		b    []byte
		w, h int
	}{
		"jpeg": {aJPEG(t, 1000, 500), 80, 40}, "png, tall": {aPNG(t, 300, 900), 26, 80}, "gif": {g.Bytes(), 80, 40},
		"small": {aPNG(t, 20, 10), 20, 10}, "webp": {aWebP(t, true), 1, 1}, "a line": {aPNG(t, 2000, 1), 80, 1},
	} {
		if b := thumb(t, m, c.b).Bounds(); b.Dx() != c.w || b.Dy() != c.h {
			t.Errorf("%s: %v, want %d by %d", name, b, c.w, c.h)
		}
	}
	// Red grows to the right and green downwards; where that is afterwards tells the turn.
	for v := 1; v <= 8; v++ {
		j := jpegWith(aJPEG(t, 400, 200), segment(0xE1, append([]byte(exifHead), exif(binary.BigEndian, v)...)), nil)
		img := thumb(t, m, j)
		b := img.Bounds()
		if wide := b.Dx() > b.Dy(); wide != (v < 5) {
			t.Errorf("orientation %d: %v", v, b)
		}
		at := func(x, y int) (red, green bool) {
			c := color.RGBAModel.Convert(img.At(x*(b.Dx()-1), y*(b.Dy()-1))).(color.RGBA)
			return c.R > 127, c.G > 127
		}
		// EXIF: what the upper left corner of the upright picture was in the stored one.
		wantRed, wantGreen := [9]bool{2: true, 3: true, 7: true, 8: true}[v], [9]bool{3: true, 4: true, 6: true, 7: true}[v]
		if red, green := at(0, 0); red != wantRed || green != wantGreen {
			t.Errorf("orientation %d: upper left is red %v green %v, want %v %v", v, red, green, wantRed, wantGreen)
		}
	}
}

// bomb is a PNG that says it has so many pixels; it never has them.
func bomb(t *testing.T, w, h uint32) []byte {
	b := aPNG(t, 1, 1)
	head := append([]byte{}, b[16:16+13]...)
	binary.BigEndian.PutUint32(head, w)
	binary.BigEndian.PutUint32(head[4:], h)
	return append(append([]byte(pngMagic), pngChunk("IHDR", head)...), b[33:]...)
}

// HARDENING H6, the picture's half: what is too large is not decoded, so it
// costs next to nothing.
func TestMake_decompressionBombs(t *testing.T) {
	m := NewMaker(Limits{})
	huge := aWebP(t, true)
	copy(huge[24:], []byte{0xFF, 0xFF, 0x0F, 0xFF, 0xFF, 0x00}) // 2²⁰ by 2¹⁶ of one pixel
	for name, b := range map[string][]byte{
		"png": bomb(t, 30000, 30000), "png at the format's end": bomb(t, 1<<31-1, 1<<31-1), "webp": huge,
		"jpeg": sof(t, 0xC0, 65535, 65535), "progressive within the pixels": sof(t, 0xC2, 4000, 4000),
		"a little more than the pixels": sof(t, 0xC0, 5100, 5100),
		"gif":                           append([]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x08"), make([]byte, 100)...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := m.Make(t.Context(), bytes.NewReader(b), int64(len(b)))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrNot) {
			t.Errorf("%s: %v", name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
	}
}

// A progressive JPEG holds its coefficients to the end: it costs several times
// what another of its size does.
func TestCost_table(t *testing.T) {
	m := NewMaker(Limits{})
	for name, c := range map[string]struct {
		b      []byte
		format Format
		each   int64
	}{
		"jpeg": {sof(t, 0xC0, 1000, 1000), JPEG, 4}, "progressive": {sof(t, 0xC2, 1000, 1000), JPEG, 16}, "png": {bomb(t, 1000, 1000), PNG, 4},
	} {
		got, err := m.cost(bytes.NewReader(c.b), codecs[c.format], c.format)
		if want := c.each*1_000_000 + 1<<20; got != want || err != nil {
			t.Errorf("%s: %d %v, want %d", name, got, err, want)
		}
	}
}

// sof changes what a JPEG's frame says.
func sof(t *testing.T, marker byte, w, h uint16) []byte {
	b := aJPEG(t, 16, 16)
	i := bytes.Index(b, []byte{0xFF, 0xC0})
	b[i+1] = marker
	binary.BigEndian.PutUint16(b[i+5:], h)
	binary.BigEndian.PutUint16(b[i+7:], w)
	return b
}

// slow is a picture whose bytes come when the test says so.
type slow struct {
	*bytes.Reader
	begun   chan struct{}
	release chan struct{}
	once    sync.Once
}

func (s *slow) Read(p []byte) (int, error) {
	s.once.Do(func() { s.begun <- struct{}{}; <-s.release })
	return s.Reader.Read(p)
}

func TestMake_workersAreBounded(t *testing.T) {
	m := NewMaker(Limits{Workers: 2, Wait: 50 * time.Millisecond})
	b := aPNG(t, 10, 10)
	begun, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := m.Make(t.Context(), &slow{Reader: bytes.NewReader(b), begun: begun, release: release}, int64(len(b)))
			done <- err
		}()
		<-begun
	}
	if _, err := m.Make(t.Context(), bytes.NewReader(b), int64(len(b))); !errors.Is(err, ErrBusy) {
		t.Errorf("a third at a time: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Make(ctx, bytes.NewReader(b), int64(len(b))); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
	close(release)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if _, err := m.Make(t.Context(), bytes.NewReader(b), int64(len(b))); err != nil {
		t.Error("afterwards:", err)
	}
}

func TestMake_brokenPictures(t *testing.T) {
	m := NewMaker(Limits{})
	for name, b := range map[string][]byte{"text": []byte("hello"), "empty": nil, "cut png": aPNG(t, 50, 50)[:80], "cut jpeg": aJPEG(t, 50, 50)[:300]} {
		if _, err := m.Make(t.Context(), bytes.NewReader(b), int64(len(b))); !errors.Is(err, ErrNot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := m.Make(t.Context(), broken{}, 10); err == nil || errors.Is(err, ErrNot) {
		t.Errorf("a disk that fails: %v; that is not the picture's fault", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error)       { return 0, io.ErrClosedPipe }
func (broken) Seek(int64, int) (int64, error) { return 0, nil }
