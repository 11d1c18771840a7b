package server

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/pep"
)

// edgeFeature is what the edges and the vocabulary implement; they have no IQ
// to register, so it is told here.
func edgeFeature() im.Feature {
	return im.Feature{
		Name: "edge",
		Specs: []im.Spec{
			{ID: "RFC 6120", Version: "2011-03", Status: "partial",
				Note: "client connections; no server-to-server streams yet"},
			{ID: "RFC 7395", Version: "2014-10", Status: "complete"},
			{ID: "RFC 7590", Version: "2015-06", Status: "complete"},
			{ID: "RFC 7622", Version: "2015-09", Status: "complete"},
			{ID: "RFC 5802", Version: "2010-07", Status: "complete", Note: "SCRAM-SHA-1 and -PLUS"},
			{ID: "RFC 7677", Version: "2015-11", Status: "complete", Note: "SCRAM-SHA-256, SCRAM-SHA-512 and -PLUS"},
			{ID: "RFC 7628", Version: "2015-08", Status: "complete", Note: "OAUTHBEARER, for tokens of the web sign-in"},
			{ID: "RFC 9266", Version: "2022-07", Status: "complete", Note: "tls-exporter"},
			{ID: "RFC 4505", Version: "2006-06", Status: "complete", Note: "ANONYMOUS; off by default"},
			{ID: "XEP-0175", Version: "1.2", Status: "complete", Note: "guests; off by default"},
			{ID: "XEP-0178", Version: "1.2", Status: "partial", Note: "clients, by xmppAddr alone; no server-to-server streams yet"},
			{ID: "XEP-0198", Version: "1.6.1", Status: "complete"},
			{ID: "XEP-0386", Version: "1.1.0", Status: "complete", Note: "inline: carbons, stream management, client state; the archive's metadata"},
			{ID: "XEP-0388", Version: "1.0.4", Status: "complete"},
			{ID: "XEP-0438", Version: "0.2.0", Status: "complete", Note: "no pepper"},
			{ID: "XEP-0440", Version: "1.0.0", Status: "complete"},
			{ID: "XEP-0474", Version: "0.5.0", Status: "complete"},
			{ID: "XEP-0480", Version: "0.2.0", Status: "complete", Note: "SCRAM, for accounts without the keys"},
			{ID: "XEP-0484", Version: "0.2.0", Status: "complete", Note: "HT-SHA-256 with tls-exporter, tls-server-end-point or no channel binding; no TLS 0-RTT"},
			{ID: "XEP-0352", Version: "1.0.0", Status: "complete"},
			{ID: "XEP-0368", Version: "1.1.0", Status: "complete", Note: "direct TLS, and XMPP on the HTTPS port by ALPN"},
			{ID: "XEP-0478", Version: "0.2.0", Status: "complete"},
		},
	}
}

// Support is one line of the support table: a specification and how far it is
// implemented, over all features that have to do with it.
type Support struct {
	im.Spec
	Features []string
}

// Supported collects what the features say of themselves, in the order of the
// specifications' names.
func Supported() []Support {
	c := &core{cfg: Default(), log: slog.New(slog.DiscardHandler)}
	c.personal = pep.New(pep.Config{})
	all, _ := features(c, "")
	by := map[string]*Support{}
	for _, f := range append(all, edgeFeature()) {
		for _, s := range f.Specs {
			t := by[s.ID]
			if t == nil {
				by[s.ID] = &Support{Spec: s, Features: []string{f.Name}}
				continue
			}
			t.Features = append(t.Features, f.Name)
			if s.Note != "" {
				t.Note = strings.TrimPrefix(t.Note+"; "+s.Note, "; ")
			}
			if s.Status != "complete" {
				t.Status = s.Status
			}
		}
	}
	out := make([]Support, 0, len(by))
	for _, s := range by {
		slices.Sort(s.Features)
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Support) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// WriteSupport writes the table as Markdown.
func WriteSupport(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# What Parlance implements\n\nWritten by `parlance features` from the features' own values; `make generate` renews it.\n\n" +
		"| specification | version | status | where | note |\n|---|---|---|---|---|\n")
	for _, s := range Supported() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", s.ID, s.Version, s.Status, strings.Join(s.Features, ", "), s.Note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteDOAP writes the same as a DOAP file (XEP-0453).
func WriteDOAP(w io.Writer) error {
	esc := func(s string) string {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
		return b.String()
	}
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://usefulinc.com/ns/doap#" xmlns:xmpp="https://linkmauve.fr/ns/xmpp-doap#">
  <Project>
    <name>Parlance</name>
    <shortdesc xml:lang="en">The instant messenger a company runs itself</shortdesc>
    <programming-language>Go</programming-language>
    <license rdf:resource="https://www.apache.org/licenses/LICENSE-2.0"/>
    <category rdf:resource="https://linkmauve.fr/ns/xmpp-doap#category-server"/>
`)
	for _, s := range Supported() {
		num, isXEP := strings.CutPrefix(s.ID, "XEP-")
		if !isXEP {
			fmt.Fprintf(&b, "    <implements rdf:resource=\"https://www.rfc-editor.org/info/rfc%s\"/>\n", strings.TrimPrefix(s.ID, "RFC "))
			continue
		}
		fmt.Fprintf(&b, "    <implements><xmpp:SupportedXep><xmpp:xep rdf:resource=\"https://xmpp.org/extensions/xep-%s.html\"/>"+
			"<xmpp:status>%s</xmpp:status><xmpp:version>%s</xmpp:version><xmpp:note xml:lang=\"en\">%s</xmpp:note></xmpp:SupportedXep></implements>\n",
			num, esc(s.Status), esc(s.Version), esc(s.Note))
	}
	b.WriteString("  </Project>\n</rdf:RDF>\n")
	_, err := io.WriteString(w, b.String())
	return err
}
