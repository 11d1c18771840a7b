package elem

import "sync"

// SyntaxError says why a stream can't go on.
type SyntaxError struct {
	Condition string // stream error condition, RFC 6120 §4.9.3
	Offset    int    // of the offending byte in the buffer given to Next
	Msg       string
}

func (e *SyntaxError) Error() string { return "elem: " + e.Condition + ": " + e.Msg }

// Stream error conditions the scanner reports (RFC 6120 §4.9.3).
const (
	notWellFormed       = "not-well-formed"
	restrictedXML       = "restricted-xml"
	badNamespacePrefix  = "bad-namespace-prefix"
	policyViolation     = "policy-violation"
	unsupportedEncoding = "unsupported-encoding"
	badFormat           = "bad-format"
)

// DefaultLimits are those of an authenticated client (HARDENING §0).
func DefaultLimits() Limits {
	return Limits{Bytes: 256 << 10, Depth: 50, Elements: 4096, Attrs: 64, Decls: 64}
}

// maxBytes bounds an element where Limits.Bytes does not: offsets are 30 bits.
const maxBytes = 1<<30 - 1

// Phases of a stream.
const (
	prolog  = iota // before the stream header
	body           // between header and footer; always, if framed
	closing        // the header was an empty element: its footer is due
	ended          // after the footer
)

// Scanner takes a stream apart into its top-level elements. The zero value is
// not usable. One goroutine at a time may use it.
//
// Between elements it holds little beside the header's declarations: what it
// needs while an element is under way is taken from a pool when the element
// begins and given back by the first call of Next that finds nothing left.
type Scanner struct {
	lim    Limits
	phase  uint8
	framed bool
	begun  bool // something came before: an XML declaration is late
	head   *header
	w      *work
	err    *SyntaxError
}

// header keeps what a stream header puts in force for the stanzas after it.
type header struct {
	name  []byte // as written, for the footer
	decls []Decl // own memory
}

// NewScanner makes a scanner for a new stream.
func NewScanner(lim Limits) *Scanner {
	s := new(Scanner)
	s.Reset(lim)
	return s
}

// Reset prepares for a new stream on the same connection (RFC 6120 §4.3.3:
// after STARTTLS and SASL). Framing stays as set. White space the client sent
// after its last element of the old stream must not be given to the new one: an
// XML declaration behind it would be late.
func (s *Scanner) Reset(lim Limits) {
	s.release()
	*s = Scanner{lim: lim, framed: s.framed}
	if s.framed {
		s.phase = body
	}
}

// SetLimits changes the limits for the elements to come.
func (s *Scanner) SetLimits(lim Limits) { s.lim = lim }

// SetFramed switches RFC 7395 framing, before the first byte: every top-level
// element is a document of its own, inherits nothing and comes as a Stanza. The
// caller sees to it that one message holds one element and nothing else.
func (s *Scanner) SetFramed(on bool) {
	s.framed = on
	s.Reset(s.lim)
}

// Next looks at buf, which starts with the first byte not consumed yet, and
// returns what stands there and how many bytes it consumed (0 with NeedMore).
// The scanner remembers how far it has looked: no byte is scanned twice as long
// as buf keeps starting at the same byte and only grows. buf may move in memory
// between calls. An error is a *SyntaxError and final.
func (s *Scanner) Next(buf []byte) (Event, int, error) {
	if s.err != nil {
		return NeedMore, 0, s.err
	}
	if s.w != nil && s.w.over {
		s.w.reset()
	}
	if s.phase == closing {
		s.phase = ended
		return Footer, 0, nil
	}
	if len(buf) == 0 {
		if s.w != nil && s.w.pos == 0 {
			s.release()
		}
		return NeedMore, 0, nil
	}
	if s.w == nil || s.w.pos == 0 {
		if n := spaces(buf); n > 0 {
			s.begun = true
			return Space, n, nil
		}
		if s.w == nil {
			s.w = pool.Get().(*work)
		}
	}
	max := s.lim.Bytes
	if max <= 0 || max > maxBytes {
		max = maxBytes
	}
	view := buf
	if len(view) > max {
		// Nothing behind the limit counts, so that the outcome does not depend
		// on how the bytes came in.
		view = view[:max]
	}
	ev, err := s.scan(view)
	if err == nil && ev == NeedMore && len(buf) > max {
		err = &SyntaxError{policyViolation, max, "element larger than allowed"}
	}
	if err != nil {
		s.err = err
		s.release()
		return NeedMore, 0, err
	}
	if ev == NeedMore {
		return NeedMore, 0, nil
	}
	s.w.over = true
	return ev, s.w.pos, nil
}

// Raw is what the last event was about, valid until the next call of Next or Reset: after
// Header its Attrs, Decls, Space and Local only, after Stanza all of it. Nil
// after other events.
func (s *Scanner) Raw() *Raw {
	if s.w == nil || !s.w.done {
		return nil
	}
	return &s.w.raw
}

func spaces(b []byte) int {
	n := 0
	for n < len(b) && class[b[n]]&cSpace != 0 {
		n++
	}
	return n
}

// pool holds the working memory of scanners that are between elements. What
// grew large is not put back.
var pool = sync.Pool{New: func() any { return newWork() }}

// release gives the working memory back.
func (s *Scanner) release() {
	if s.w == nil {
		return
	}
	if s.w.reset(); s.w.small() {
		pool.Put(s.w)
	}
	s.w = nil
}
