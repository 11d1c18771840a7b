package elem_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// document is a line of testdata/documents.txt.
type document struct {
	verdict, condition string
	doc                []byte
}

func documents(t testing.TB) []document {
	t.Helper()
	file, err := os.ReadFile("testdata/documents.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []document
	for i, line := range strings.Split(string(file), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, `"`, 2)
		words := strings.Fields(f[0])
		if len(f) != 2 || len(words) != 2 {
			t.Fatalf("documents.txt:%d: %q", i+1, line)
		}
		doc, err := strconv.Unquote(`"` + f[1])
		if err != nil {
			t.Fatalf("documents.txt:%d: %v", i+1, err)
		}
		out = append(out, document{words[0], words[1], []byte(doc)})
	}
	return out
}

// expat is a second parser in a process of its own.
type expat struct {
	in  io.Writer
	out *bufio.Scanner
}

func startExpat(t testing.TB) *expat {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "testdata/expat.py")
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
		t.Fatalf("the second parser needs Debian's python3: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 1<<24)
	return &expat{in, sc}
}

// parse returns expat's tree, nil if it refuses the document.
func (x *expat) parse(t testing.TB, doc []byte) any {
	t.Helper()
	if _, err := fmt.Fprintln(x.in, hex.EncodeToString(doc)); err != nil {
		t.Fatal(err)
	}
	if !x.out.Scan() {
		t.Fatal("expat does not answer: ", x.out.Err())
	}
	if x.out.Text() == "-" {
		return nil
	}
	var tree any
	if err := json.Unmarshal(x.out.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// asExpat brings a tree of ours into the form of testdata/expat.py.
func asExpat(e *elem.Element) any {
	name := func(n elem.Name) string {
		if n.Space == "" {
			return n.Local
		}
		return n.Space + "|" + n.Local
	}
	attrs := map[string]any{}
	for _, a := range e.Attrs {
		attrs[name(a.Name)] = a.Value
	}
	kids := []any{}
	for _, c := range e.Children {
		kids = append(kids, asExpat(c))
	}
	return []any{name(e.Name), attrs, e.Text, kids}
}

// X5: what is accepted is what a strict second parser accepts, and understood
// the same way; what RFC 6120 §11 restricts further is listed.
func TestParse_documentsAgreeWithExpat(t *testing.T) {
	docs := documents(t)
	if len(docs) < 200 {
		t.Fatalf("only %d documents", len(docs))
	}
	x := startExpat(t)
	for _, d := range docs {
		e, err := elem.Parse(d.doc)
		tree := x.parse(t, d.doc)
		if (d.verdict == "ok") != (err == nil) {
			t.Errorf("%q: %v, want %s", d.doc, err, d.verdict)
		}
		if err != nil && condition(err) != d.condition {
			t.Errorf("%q: %v, want %s", d.doc, err, d.condition)
		}
		if (d.verdict == "bad") != (tree == nil) {
			t.Errorf("%q: expat says %v, want %s", d.doc, tree, d.verdict)
		}
		if err == nil && !reflect.DeepEqual(asExpat(e), tree) {
			t.Errorf("%q: %v, expat understands %v", d.doc, asExpat(e), tree)
		}
	}
}

// onPurpose says whether err is a refusal beyond XML's own rules.
func onPurpose(doc []byte, err error) bool {
	switch condition(err) {
	case "restricted-xml", "unsupported-encoding", "policy-violation":
		return true
	}
	for _, bom := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff", "\x00<", "<\x00"} { // RFC 6120 §11.6: UTF-8 only
		if bytes.HasPrefix(doc, []byte(bom)) {
			return true
		}
	}
	return strings.Contains(err.Error(), "version is not 1.0")
}

// X5, X6: the same for documents made by damaging those of the table.
func TestParse_damagedDocumentsAgreeWithExpat(t *testing.T) {
	docs := documents(t)
	x := startExpat(t)
	seed := uint64(20261123)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for i := range 20000 {
		doc := damage(rnd, docs)
		e, err := elem.Parse(doc)
		tree := x.parse(t, doc)
		switch {
		case err != nil && (tree == nil || onPurpose(doc, err)):
		case err != nil || tree == nil:
			t.Errorf("seed %d, document %d %q: %v, expat %v", seed, i, doc, err, tree)
		case !reflect.DeepEqual(asExpat(e), tree):
			t.Errorf("seed %d, document %d %q: %v, expat understands %v", seed, i, doc, asExpat(e), tree)
		}
	}
}

// damage cuts, joins and changes documents of the table.
func damage(rnd *rand.Rand, docs []document) []byte {
	pick := func() []byte { return docs[rnd.IntN(len(docs))].doc }
	doc := bytes.Clone(pick())
	for range 1 + rnd.IntN(3) {
		at := rnd.IntN(len(doc) + 1)
		switch rnd.IntN(5) {
		case 0: // another character
			const chars = "<>&;'\"=/:! ]\t\n\r-_.1ax\x00\x7f\xc3\xa9\xef\xbf\xbe#"
			if at < len(doc) {
				doc[at] = chars[rnd.IntN(len(chars))]
			}
		case 1: // a piece less
			doc = append(doc[:at], doc[at+rnd.IntN(len(doc)-at+1):]...)
		case 2: // a piece of another document
			other := pick()
			from := rnd.IntN(len(other) + 1)
			piece := other[from : from+rnd.IntN(len(other)-from+1)]
			doc = append(doc[:at:at], append(bytes.Clone(piece), doc[at:]...)...)
		case 3: // a whole document inside
			doc = append(doc[:at:at], append(bytes.Clone(pick()), doc[at:]...)...)
		case 4: // wrapped
			doc = append(append([]byte("<w xmlns='w' xmlns:p='w'>"), doc...), "</w>"...)
		}
	}
	return doc
}

// Trees are made of scanned bytes; if somebody gives others, the worst is an error.
func TestBuild_unscannedBytesDoNoHarm(t *testing.T) {
	docs := documents(t)
	rnd := rand.New(rand.NewPCG(20261123, 3))
	refused := 0
	for range 20000 {
		if _, err := elem.Build(damage(rnd, docs)); err != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("nothing is refused")
	}
}
