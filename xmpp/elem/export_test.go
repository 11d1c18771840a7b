package elem

// Unseen is how many of the n bytes given to Next it will look at again.
func Unseen(s *Scanner, n int) int {
	if s.w == nil {
		return n
	}
	return n - s.w.pos
}

// Idle says whether the scanner holds no working memory.
func Idle(s *Scanner) bool { return s.w == nil }

// Build makes a tree of bytes no scanner has seen.
func Build(doc []byte) (*Element, error) { return build(doc, "", nil) }
