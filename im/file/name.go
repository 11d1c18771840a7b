package file

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxName = 200 // bytes; file systems take 255

// devices are names some systems give to no file, whatever their extension.
var devices = map[string]bool{
	"con": true, "prn": true, "aux": true, "nul": true, "conin$": true, "conout$": true,
	"com0": true, "com1": true, "com2": true, "com3": true, "com4": true, "com5": true, "com6": true, "com7": true, "com8": true, "com9": true,
	"lpt0": true, "lpt1": true, "lpt2": true, "lpt3": true, "lpt4": true, "lpt5": true, "lpt6": true, "lpt7": true, "lpt8": true, "lpt9": true,
}

// PlainName makes of what a client calls a file a name that is nothing but a
// name (HARDENING H2, U3): no folder, no control, nothing that turns the
// direction of writing and so hides the extension, no device, not long. Only
// people see it: files are kept by hash, never by name.
func PlainName(s string) string {
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
			return -1
		case strings.ContainsRune(`<>:"|?*`, r): // names for nobody on Windows
			return '_'
		}
		return r
	}, s)
	s = strings.Trim(s, " .\u00a0")
	stem, ext := s, ""
	if i := strings.LastIndexByte(s, '.'); i > 0 && len(s)-i <= 20 {
		stem, ext = s[:i], s[i:]
	}
	if first, _, _ := strings.Cut(stem, "."); devices[strings.ToLower(strings.TrimSpace(first))] {
		stem = "_" + stem
	}
	for len(stem) > maxName-len(ext) {
		_, n := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-n]
	}
	if stem+ext == "" {
		return "file"
	}
	return stem + ext
}
