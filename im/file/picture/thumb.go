package picture

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"time"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
	"golang.org/x/sync/semaphore"
)

// Limits bound what making thumbnails costs. Zero fields are the defaults.
type Limits struct {
	Pixels  int64         // of a picture that is looked at
	Memory  int64         // bytes of all that are decoded at a time
	Workers int64         // thumbnails made at a time
	Wait    time.Duration // for a worker
	Edge    int           // of a thumbnail, in pixels: neither side is longer
}

// Maker makes thumbnails. All methods may be called from any goroutine.
type Maker struct {
	lim     Limits
	workers *semaphore.Weighted
	memory  *semaphore.Weighted
}

// ErrBusy says that all workers were busy for too long.
var ErrBusy = errors.New("picture: busy")

// NewMaker makes a maker.
func NewMaker(l Limits) *Maker {
	l.Pixels = cmp.Or(l.Pixels, 25_000_000) // HARDENING H6
	l.Memory = cmp.Or(l.Memory, 128<<20)
	l.Workers = cmp.Or(l.Workers, 2)
	l.Wait = cmp.Or(l.Wait, 10*time.Second)
	l.Edge = cmp.Or(l.Edge, 320)
	return &Maker{l, semaphore.NewWeighted(l.Workers), semaphore.NewWeighted(l.Memory)}
}

// codec is how a format is read.
type codec struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	bytes  int64 // that decoding holds for a pixel at most, where the colour model does not say
}

var codecs = map[Format]codec{
	JPEG: {jpeg.DecodeConfig, jpeg.Decode, 4},
	PNG:  {png.DecodeConfig, png.Decode, 4},
	WebP: {webp.DecodeConfig, webp.Decode, 8}, // lossless: pixels and transforms; lossy: planes and alpha
	GIF:  {gif.DecodeConfig, gif.Decode, 2},   // the first picture
}

// Make makes a thumbnail, a JPEG. ErrNot: it is no picture, a broken one, or
// one too large. What it takes is looked at before anything is decoded.
func (m *Maker) Make(ctx context.Context, src io.ReadSeeker, size int64) ([]byte, error) {
	if err := m.acquire(ctx, m.workers, 1); err != nil {
		return nil, err
	}
	defer m.workers.Release(1)
	head := make([]byte, 12)
	n, err := io.ReadFull(src, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	format := Sniff(head[:n])
	c, ok := codecs[format]
	if !ok {
		return nil, ErrNot
	}
	cost, err := m.cost(src, c, format)
	if err != nil {
		return nil, err
	}
	if err := m.acquire(ctx, m.memory, cost); err != nil {
		return nil, err
	}
	defer m.memory.Release(cost)
	turn := 1
	if format != GIF {
		turn = turned(src, size)
	}
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	img, err := c.decode(bufio.NewReader(src))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNot, err)
	}
	return encode(turnTo(m.scale(img), turn))
}

// acquire waits for its share, not for ever.
func (m *Maker) acquire(ctx context.Context, of *semaphore.Weighted, n int64) error {
	wait, cancel := context.WithTimeout(ctx, m.lim.Wait)
	defer cancel()
	if of.Acquire(wait, n) != nil {
		return cmp.Or(ctx.Err(), ErrBusy)
	}
	return nil
}

// cost is how many bytes decoding takes; ErrNot if that is more than one
// picture may.
func (m *Maker) cost(src io.ReadSeeker, c codec, format Format) (int64, error) {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	conf, err := c.config(bufio.NewReader(src))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNot, err)
	}
	pixels := int64(conf.Width) * int64(conf.Height)
	if conf.Width < 1 || conf.Height < 1 || pixels > m.lim.Pixels {
		return 0, fmt.Errorf("%w: %d by %d pixels", ErrNot, conf.Width, conf.Height)
	}
	each := c.bytes
	switch conf.ColorModel {
	case color.RGBA64Model, color.NRGBA64Model, color.Gray16Model:
		each = 8
	}
	if format == JPEG {
		if _, err := src.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		if progressive(bufio.NewReader(src)) {
			each += 12 // every coefficient of three planes is held to the end
		}
	}
	cost := pixels*each + 1<<20
	if cost > m.lim.Memory {
		return 0, fmt.Errorf("%w: it would take %d bytes", ErrNot, cost)
	}
	return cost, nil
}

// progressive says whether a JPEG's frame is; true if it can't be found.
func progressive(r *bufio.Reader) bool {
	f := &follow{r: r, at: 0}
	if f.skip(2) != nil {
		return true
	}
	for {
		m, err := f.marker()
		if err != nil || m == mSOS {
			return true
		}
		var size [2]byte
		if err := f.read(size[:]); err != nil {
			return true
		}
		if m == 0xC0 || m == 0xC1 {
			return false
		}
		if m == mSOF2 || f.skip(int64(size[0])<<8+int64(size[1])-2) != nil {
			return true
		}
	}
}

// turned reads the orientation.
func turned(src io.ReadSeeker, size int64) int {
	p, err := Clean(&at{src}, size)
	if err != nil {
		return 1
	}
	return p.Orientation()
}

// at reads at offsets, for one goroutine.
type at struct{ io.ReadSeeker }

func (a *at) ReadAt(p []byte, off int64) (int, error) {
	if _, err := a.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(a, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// scale makes it fit into the square, never larger. First roughly, then
// smoothly, so that the smooth step's memory does not depend on the source.
func (m *Maker) scale(img image.Image) *image.RGBA {
	b := img.Bounds()
	w, h := fit(b.Dx(), b.Dy(), m.lim.Edge)
	if rw, rh := 4*w, 4*h; rw < b.Dx() && rh < b.Dy() {
		rough := image.NewRGBA(image.Rect(0, 0, rw, rh))
		draw.ApproxBiLinear.Scale(rough, rough.Bounds(), img, b, draw.Src, nil)
		img, b = rough, rough.Bounds()
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src) // JPEG knows no transparency
	draw.BiLinear.Scale(out, out.Bounds(), img, b, draw.Over, nil)
	return out
}

func fit(w, h, edge int) (int, int) {
	if w <= edge && h <= edge {
		return w, h
	}
	if w >= h {
		return edge, max(h*edge/w, 1)
	}
	return max(w*edge/h, 1), edge
}

// turnTo makes the picture upright: the EXIF orientations 1 to 8.
func turnTo(img *image.RGBA, v int) *image.RGBA {
	if v < 2 || v > 8 {
		return img
	}
	w, h := img.Rect.Dx(), img.Rect.Dy()
	ow, oh := w, h
	if v >= 5 {
		ow, oh = h, w
	}
	out := image.NewRGBA(image.Rect(0, 0, ow, oh))
	for y := range h {
		for x := range w {
			tx, ty := x, y
			switch v {
			case 2:
				tx = w - 1 - x
			case 3:
				tx, ty = w-1-x, h-1-y
			case 4:
				ty = h - 1 - y
			case 5:
				tx, ty = y, x
			case 6:
				tx, ty = h-1-y, x
			case 7:
				tx, ty = h-1-y, w-1-x
			case 8:
				tx, ty = y, w-1-x
			}
			out.SetRGBA(tx, ty, img.RGBAAt(x, y))
		}
	}
	return out
}

func encode(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 80}); err != nil {
		return nil, fmt.Errorf("picture: encode: %w", err)
	}
	return b.Bytes(), nil
}
