package edge

import "sync"

// Sizes of read buffers: most bursts fit the small one.
const (
	smallBuffer = 4 << 10
	largeBuffer = 16 << 10
)

// Buffers lends read and write buffers. The zero value is ready.
type Buffers struct {
	small, large sync.Pool // of *[]byte
}

// Get lends a buffer of at least n bytes, all of them usable.
func (b *Buffers) Get(n int) []byte {
	switch {
	case n <= smallBuffer:
		if p, ok := b.small.Get().(*[smallBuffer]byte); ok {
			return p[:]
		}
		return make([]byte, smallBuffer)
	case n <= largeBuffer:
		if p, ok := b.large.Get().(*[largeBuffer]byte); ok {
			return p[:]
		}
		return make([]byte, largeBuffer)
	}
	return make([]byte, n)
}

// Put takes a buffer back. One that has grown is left to the collector.
func (b *Buffers) Put(p []byte) {
	switch cap(p) {
	case smallBuffer:
		b.small.Put((*[smallBuffer]byte)(p[:smallBuffer]))
	case largeBuffer:
		b.large.Put((*[largeBuffer]byte)(p[:largeBuffer]))
	}
}
