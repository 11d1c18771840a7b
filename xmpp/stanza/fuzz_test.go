package stanza_test

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// receiver is the parser of somebody who gets what we relay: expat, which most
// of the world's clients are built on, in a process of its own.
type receiver struct {
	in  io.Writer
	out *bufio.Scanner
}

func startReceiver(t testing.TB) *receiver {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "../elem/testdata/expat.py")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the receiver's parser needs Debian's python3: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 1<<24)
	return &receiver{in, sc}
}

// read is the receiver's tree as [name, {attribute: value}, text, [children]]; nil if it refuses.
func (r *receiver) read(t testing.TB, doc string) []any {
	t.Helper()
	if _, err := fmt.Fprintln(r.in, hex.EncodeToString([]byte(doc))); err != nil {
		t.Fatal(err)
	}
	if !r.out.Scan() {
		t.Fatal("the receiver does not answer: ", r.out.Err())
	}
	if r.out.Text() == "-" {
		return nil
	}
	var tree []any
	if err := json.Unmarshal(r.out.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// understood brings a tree of ours into the receiver's form.
func understood(e *elem.Element) []any {
	name := func(n elem.Name) string {
		if n.Space == "" {
			return n.Local
		}
		return n.Space + "|" + n.Local
	}
	attrs, kids := map[string]any{}, []any{}
	for _, a := range e.Attrs {
		attrs[name(a.Name)] = a.Value
	}
	for _, c := range e.Children {
		kids = append(kids, understood(c))
	}
	return []any{name(e.Name), attrs, e.Text, kids}
}

// taken says which children are taken out, as im/deliver does with what is the
// server's to say.
func taken(local string) bool { return local == "drop" || local == "stanza-id" }

// FuzzRelay: what a receiver's parser understands of a relayed stanza is what
// ours understood of the sender's (HARDENING X6), on a stream and as a
// WebSocket message; nothing of the sender's start tag gets through but what a
// stanza has.
func FuzzRelay(f *testing.F) {
	for _, s := range relaySeeds(f) {
		f.Add(s)
	}
	r := startReceiver(f)
	f.Fuzz(func(t *testing.T, in string) {
		s := elem.NewScanner(elem.Limits{Bytes: 1 << 14, Depth: 20, Elements: 200, Attrs: 20, Decls: 20})
		if _, _, err := s.Next([]byte(header)); err != nil {
			t.Fatal(err)
		}
		if ev, _, err := s.Next([]byte(in)); err != nil || ev != elem.Stanza || s.Raw().Prefixed {
			return
		}
		raw := s.Raw()
		sent, err := raw.Element()
		if err != nil || sent.Space != stanza.Space {
			return
		}
		st, err := stanza.Read(raw, func(raw *elem.Raw, i int) bool { return taken(string(raw.Kids[i].Local)) })
		if err != nil || st == nil {
			return
		}
		text := string(st.AppendTo(nil))
		_, at := st.AppendStart(nil)
		for way, doc := range map[string]string{
			"stream":    "<w xmlns='jabber:client'>" + text + "</w>",
			"WebSocket": "<w>" + text[:at] + " xmlns='jabber:client'" + text[at:] + "</w>",
		} {
			tree := r.read(t, doc)
			if tree == nil || len(tree[3].([]any)) != 1 {
				t.Fatalf("%s: %q is relayed as %q: the receiver understands %v", way, in, doc, tree)
			}
			same(t, way, in, doc, sent, tree[3].([]any)[0].([]any))
		}
	})
}

func same(t *testing.T, way, in, doc string, sent *elem.Element, got []any) {
	t.Helper()
	kids := []any{}
	for _, c := range sent.Children {
		if !taken(c.Local) {
			kids = append(kids, understood(c))
		}
	}
	// Where something was taken out, a space may stand instead.
	flat := func(s string) string { return strings.ReplaceAll(s, " ", "") }
	if got[0] != stanza.Space+"|"+sent.Local || !reflect.DeepEqual(got[3], kids) || flat(got[2].(string)) != flat(sent.Text) {
		t.Fatalf("%s: %q is relayed as %q: we understood %v, the receiver %v", way, in, doc, understood(sent), got)
	}
	for k, v := range got[1].(map[string]any) {
		switch k {
		case "id", "type":
			if sent.Attr(k) != v {
				t.Fatalf("%s: %q is relayed as %q: %s", way, in, doc, k)
			}
		case "to", "http://www.w3.org/XML/1998/namespace|lang":
		default:
			t.Fatalf("%s: %q is relayed as %q with the attribute %s", way, in, doc, k)
		}
	}
}

// relaySeeds are ordinary stanzas, and the table of 200 odd documents within one.
func relaySeeds(t testing.TB) []string {
	t.Helper()
	all := []string{
		"<message to='a@b' id='1' type='chat' xml:lang='de'><body>hi &amp; &lt;b&gt; ]]&gt;</body><drop/>]]<stanza-id xmlns='urn:xmpp:sid:0'/>&gt;</message>",
		"<message from='x@y' xmlns:p='u' p:z='1'><p:a p:b='&#10;'/><![CDATA[<c>]]></message>",
		"<presence><show>away</show><c xmlns='http://jabber.org/protocol/caps' ver='&quot;'/></presence>",
		"<iq type='get' id='&apos;'><o:q/><stream:x/></iq>",
		"<message xmlns:o='' />", "<message id='\r\n\t&#13;'>\r\n</message>", "<message>]<drop/>]<drop/>></message>",
	}
	file, err := os.ReadFile("../elem/testdata/documents.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		_, quoted, ok := strings.Cut(strings.TrimSpace(line), `"`)
		if !ok || line[0] == '#' {
			continue
		}
		doc, err := strconv.Unquote(`"` + quoted)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, "<message to='a@b'>"+doc+"<drop/></message>", doc)
	}
	return all
}
