package file

import (
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

// HARDENING H2, U3: of whatever a client calls a file, a name.
func TestPlainName_table(t *testing.T) {
	for in, want := range map[string]string{
		"photo.jpg": "photo.jpg", "très cool.jpg": "très cool.jpg", "日本語.png": "日本語.png", "a.tar.gz": "a.tar.gz",
		"../../etc/passwd": "passwd", `..\..\boot.ini`: "boot.ini", "/": "file", "..": "file", ".": "file", "": "file", " . . ": "file",
		".htaccess": "htaccess", "a/..": "file", "C:\\x": "x", "a:b": "a_b", "stream.txt::$DATA": "stream.txt__$DATA",
		"a\x00b.txt": "ab.txt", "a\r\nSet-Cookie: x.txt": "aSet-Cookie_ x.txt", "gpj.\u202eexe": "gpj.exe", "a\u2066b\u2069.txt": "ab.txt",
		"zero\u200bwidth\ufeff.txt": "zerowidth.txt", "line\u2028end.txt": "lineend.txt",
		"CON": "_CON", "con.txt": "_con.txt", "nul.tar.gz": "_nul.tar.gz", "LPT1 .txt": "_LPT1 .txt", "console.txt": "console.txt",
		"name.": "name", "name ": "name", "bad\xffutf.txt": "badutf.txt", "what?.txt": "what_.txt",
		strings.Repeat("ä", 400) + ".jpeg": strings.Repeat("ä", 97) + ".jpeg",
		"x." + strings.Repeat("e", 400):    "x." + strings.Repeat("e", 198),
		"%2e%2e%2fpasswd":                  "%2e%2e%2fpasswd", "%u002e%u002e": "%u002e%u002e",
	} {
		if got := PlainName(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func FuzzPlainName(f *testing.F) {
	for _, s := range []string{"a.txt", "../x", "a\x00b", "con", "\u202e", strings.Repeat("ä.", 300), " .a. ", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := PlainName(s)
		if n == "" || len(n) > maxName || !utf8.ValidString(n) || path.Base(n) != n || n == "." || n == ".." || strings.ContainsAny(n, "\x00\r\n\\/") {
			t.Errorf("%q becomes %q", s, n)
		}
		if PlainName(n) != n {
			t.Errorf("%q becomes %q and then %q", s, n, PlainName(n))
		}
	})
}
