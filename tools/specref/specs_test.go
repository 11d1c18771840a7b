package main

import (
	"strings"
	"testing"
)

func TestCitesIn_findsEverySection(t *testing.T) {
	text := "// RFC 6121 §8.5.2.1.1: to all\n// nothing here\n// XEP-0198 §5, §6 and XEP-0313 §4.1. RFC 6120 §A.3 too; RFC 7622 without\n// RFC 6120, §4.9.3.18.\n"
	var got []string
	for _, c := range citesIn("x.go", []byte(text)) {
		got = append(got, c.spec+" "+c.section)
	}
	want := "RFC 6121 8.5.2.1.1|XEP-0198 5|XEP-0198 6|XEP-0313 4.1|RFC 6120 A.3|RFC 6120 4.9.3.18"
	if strings.Join(got, "|") != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestHas(t *testing.T) {
	s := spec{sections: "1-3 2.1-4 4.9 4.9.3.1-25 5.* A A.1-9"}
	for sec, want := range map[string]bool{
		"1": true, "3": true, "4": false, "2.1": true, "2.4": true, "2.5": false, "2.10": false, "4.9": true,
		"4.9.3.25": true, "4.9.3.26": false, "5.1.2": true, "5": false, "A": true, "A.9": true, "B": false, "0": false,
	} {
		if s.has(sec) != want {
			t.Errorf("has(%s) = %v", sec, !want)
		}
	}
	limited := spec{sections: "max 10"}
	for sec, want := range map[string]bool{"1": true, "10.3.1": true, "11": false, "0": false, "A": true} {
		if limited.has(sec) != want {
			t.Errorf("max 10: has(%s) = %v", sec, !want)
		}
	}
}

func TestXEPSections_numbersAsTheRendering(t *testing.T) {
	text := `<title>A  Name</title><section1 topic='a'><!-- <section2> --><section2 topic='b'/><section2 topic='c'>
	<section3 topic='d'/></section2></section1><section1 topic="e"><![CDATA[<section1 >]]></section1><section1><section2 /></section1>`
	title, sections := xepSections(text)
	if title != "A Name" || sections != "1-3 1.1-2 3.1 1.2.1" {
		t.Errorf("%q, %q", title, sections)
	}
}

func TestRefuse_namesWhatIsWrong(t *testing.T) {
	list := specs{{"RFC 1", "One", "1-3"}}
	if why := list.refuse("RFC 1", "4"); !strings.Contains(why, "has no §4") {
		t.Error(why)
	}
	if why := list.refuse("RFC 2", "1"); !strings.Contains(why, "is not in") {
		t.Error(why)
	}
	if why := list.refuse("RFC 1", "3"); why != "" {
		t.Error(why)
	}
}

func TestWriteIndex_ordersSectionsByNumber(t *testing.T) {
	page := string(writeIndex(specs{{"RFC 1", "One", ""}}, []cite{
		{"RFC 1", "4.10", "b.go", 1}, {"RFC 1", "4.9", "a.go", 1}, {"RFC 1", "A.1", "a.go", 2}, {"RFC 1", "4.9", "a.go", 9},
	}))
	want := "| §4.9 | a.go |\n| §4.10 | b.go |\n| §A.1 | a.go |\n"
	if !strings.HasSuffix(page, want) {
		t.Errorf("got:\n%s", page)
	}
}
