package elem

// work is the memory of one element under way. Everything is kept as offsets,
// because the caller's buffer may move between calls.
type work struct {
	pos   int // next byte to look at
	start int // of the element; not 0 behind an XML declaration
	mark  int // start of the name, value, reference or end tag under way

	state, back lexState
	quote       byte
	spaced      bool  // white space before the next attribute
	over        bool  // an event was given: the next call begins anew
	done        bool  // raw is what the last event was about
	ref         uint8 // kind of character reference under way
	refVal      uint32

	decls, elements int
	tagPlain        int // attributes of the tag under way that are no declarations

	name    qname  // element under way
	attrs   []attr // of the top-level element, then of the tag under way
	topAttr int    // how many belong to the top-level element
	topTag  qname
	stack   []open
	binds   []binding
	kids    []kidName
	outer   uint64 // header declarations used, a bit each
	inner   Span   // of the top-level element
	scratch []byte // unescaped values

	raw Raw
}

// qname is a name as written: prefix:local, or local if colon is 0.
type qname struct{ start, colon, end uint32 }

func (n qname) local(b []byte) []byte {
	if n.colon != 0 {
		return b[n.colon+1 : n.end]
	}
	return b[n.start:n.end]
}

func (n qname) prefix(b []byte) []byte {
	if n.colon != 0 {
		return b[n.start:n.colon]
	}
	return nil
}

// attr is one attribute as written.
type attr struct {
	name       qname
	start, end uint32 // of the value, within the quotes
	raw        bool   // has references or white space to normalise
	decl       bool   // is a namespace declaration
}

// open is an element whose end tag has not come.
type open struct {
	start, end uint32 // of the name as written
	binds      uint32 // bindings in force outside
}

// ref points to text: in the buffer, in the scratch space, in a header
// declaration, or nowhere.
type ref struct{ from, start, end uint32 }

const (
	inBuffer = iota
	inScratch
	inHeader
	isXML
	isNothing
)

// binding is a namespace declaration in force. The default's prefix is empty.
type binding struct {
	start, end uint32 // of the prefix in the buffer
	space      ref
}

// kidName is what Raw.Kids needs beside its spans until the element is complete.
type kidName struct {
	space      ref
	start, end uint32 // local name
}

// What a pooled work may keep, in entries and bytes.
const (
	keepEntries = 64
	keepScratch = 4 << 10
)

func newWork() *work {
	return &work{
		attrs: make([]attr, 0, 16),
		stack: make([]open, 0, 12),
		binds: make([]binding, 0, 12),
		kids:  make([]kidName, 0, 12),
		raw: Raw{
			Attrs: make([]Attr, 0, 8),
			Decls: make([]Decl, 0, 4),
			Kids:  make([]Kid, 0, 12),
		},
	}
}

// reset forgets the element and keeps the memory.
func (w *work) reset() {
	clear(w.raw.Attrs)
	clear(w.raw.Decls)
	clear(w.raw.Outer)
	clear(w.raw.Kids)
	*w = work{
		attrs: w.attrs[:0], stack: w.stack[:0], binds: w.binds[:0], kids: w.kids[:0], scratch: w.scratch[:0],
		raw: Raw{Attrs: w.raw.Attrs[:0], Decls: w.raw.Decls[:0], Outer: w.raw.Outer[:0], Kids: w.raw.Kids[:0]},
	}
}

// small says whether the memory is worth keeping.
func (w *work) small() bool {
	return cap(w.attrs) <= keepEntries && cap(w.stack) <= keepEntries && cap(w.binds) <= keepEntries &&
		cap(w.kids) <= keepEntries && cap(w.scratch) <= keepScratch &&
		cap(w.raw.Attrs) <= keepEntries && cap(w.raw.Decls) <= keepEntries && cap(w.raw.Kids) <= keepEntries
}
