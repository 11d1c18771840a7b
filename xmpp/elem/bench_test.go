package elem_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
)

func BenchmarkScanner_chat(b *testing.B) {
	if len(chat) != 407 {
		b.Fatal(len(chat))
	}
	s := opened(b, elem.DefaultLimits())
	buf := []byte(chat)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if ev, _, err := s.Next(buf); ev != elem.Stanza || err != nil {
			b.Fatal(ev, err)
		}
		if ev, _, _ := s.Next(nil); ev != elem.NeedMore {
			b.Fatal(ev)
		}
	}
}

// The standard library's tokenizer on the same bytes, as a yardstick for the machine.
func BenchmarkEncodingXML_chat(b *testing.B) {
	b.SetBytes(int64(len(chat)))
	b.ReportAllocs()
	in := []byte(chat)
	for b.Loop() {
		d := xml.NewDecoder(bytes.NewReader(in))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkScanner_text(b *testing.B) {
	s := opened(b, elem.DefaultLimits())
	buf := []byte("<m>" + rep(1000, "It is the east, and Juliet is the sun. ") + "</m>")
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if ev, _, err := s.Next(buf); ev != elem.Stanza || err != nil {
			b.Fatal(ev, err)
		}
	}
}

func BenchmarkRaw_KidElement(b *testing.B) {
	s := opened(b, elem.DefaultLimits())
	if _, _, err := s.Next([]byte("<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver='7'><item jid='a@b' name='c'><group>d</group></item></query></iq>")); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Raw().KidElement(0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkElement_AppendTo(b *testing.B) {
	e, err := elem.Parse([]byte(chat))
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = e.AppendTo(dst[:0], "")
	}
}
