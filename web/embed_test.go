package web

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

func TestAssets_haveAStartPage(t *testing.T) {
	page, err := fs.ReadFile(Assets(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "<title>Parlance</title>") {
		t.Errorf("index.html is not Parlance's page: %.80s", page)
	}
}

// The CSP allows no inline script or style, so that the pages must hold none.
func TestPages_holdNothingInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<script[^>]*>\s*[^\s<]|<style|\son[a-z]+\s*=|javascript:|(?:src|href)="https?:`)
	for _, f := range []fs.FS{Assets(), sub(placeholder, "placeholder")} {
		page, err := fs.ReadFile(f, "index.html")
		if err != nil {
			t.Fatal(err)
		}
		if m := inline.Find(page); m != nil {
			t.Errorf("index.html: %q is against the CSP", m)
		}
	}
}

func TestAssets_areHashed(t *testing.T) {
	if !Built() {
		t.Skip("the client is not built; `make web` builds it")
	}
	hashed := regexp.MustCompile(`-[A-Za-z0-9_-]{8}\.[a-z0-9]+$`)
	err := fs.WalkDir(Assets(), "assets", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !hashed.MatchString(path) {
			t.Errorf("%s: no content hash, but it will be cached for ever", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
