package parlance

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// tierRule is a row of the import table: docs/ARCHITECTURE.md tells it in words.
type tierRule struct {
	may    []string // other tiers of this module
	reason string   // why nothing else
	// ranks orders the packages within the tier: a package may import those of a
	// lower rank only. No ranks: never one another.
	ranks map[string]int
	free  bool // packages of the tier may import one another as they like
}

var tierRules = map[string]tierRule{
	"xmpp": {
		reason: "the vocabulary has no goroutines, sockets or database: everyone else builds on it",
		ranks: map[string]int{
			"xmpp/ns": 0, "xmpp/jid": 1, "xmpp/elem": 2, "xmpp/stanza": 3,
			"xmpp/stream": 4, "xmpp/sasl": 4, "xmpp/form": 4, "xmpp/rsm": 4, "xmpp/disco": 5, // caps hash forms (XEP-0115 §5.1)
		},
	},
	"store": {
		reason: "a database handle knows nothing of messages",
		ranks:  map[string]int{"store": 0, "store/storetest": 1},
	},
	"im": {
		may:    []string{"xmpp", "store"},
		reason: "the message's way must not depend on features, companies or sockets",
		ranks: map[string]int{
			"im/meter": 0, "im/trace": 0, "im/session": 0, "im/search": 0, "im": 1, "im/route": 2, "im/account": 3, "im/roster": 3,
			"im/visit": 3, "im/host": 3, "im/presence": 4, "im/block": 4, "im/archive": 4, "im/preference": 4, "im/carbon": 5, "im/room": 5, "im/pubsub": 5,
			"im/file/picture": 5, "im/pep": 6, "im/file": 6, "im/push": 6, "im/deliver": 7,
		},
	},
	"feature": {
		may:    []string{"xmpp", "store", "im"},
		reason: "a feature is one folder that can be taken out: never another feature",
	},
	"corp": {
		may:    []string{"xmpp", "store", "im"},
		reason: "the messaging core runs without a company, and a company without sockets",
		ranks: map[string]int{
			"corp/directory": 0, "corp/identity": 1, "corp/scan": 1, "corp/policy": 2,
			"corp/audit": 0, "corp/retain": 1, "corp/discover": 2,
		},
	},
	"media":   {may: []string{"xmpp", "store", "im"}, reason: "calls work without a company or a cluster"},
	"cluster": {may: []string{"xmpp", "store", "im"}, reason: "a node does only fanout and write"},
	"edge": {
		may:    []string{"xmpp", "im", "media"},
		reason: "bytes in, bytes out: no policy, no database, not another edge (ws and bosh use c2s's session code)",
		ranks:  map[string]int{"edge": 0, "edge/c2s": 1, "edge/ws": 2, "edge/bosh": 2, "edge/http": 1, "edge/s2s": 1, "edge/component": 1, "edge/sip": 1, "edge/irc": 1, "edge/sms": 1},
	},
	"admin":   {may: []string{"xmpp", "im", "corp", "media", "cluster"}, reason: "administration goes through the domain, not around it", free: true},
	"web":     {reason: "the built web client is files, nothing else"},
	"server":  {may: []string{"xmpp", "store", "im", "feature", "corp", "media", "cluster", "edge", "admin", "web"}, reason: "wiring knows everything", free: true},
	"cmd":     {may: []string{"server", "admin", "bench"}, reason: "main parses and calls"},
	"tools":   {may: []string{"xmpp"}, reason: "tools look at files and at the built binary", free: true},
	"interop": {may: []string{"xmpp"}, reason: "a black box is tried from outside: the built binary", free: true},
	// bench is a subcommand of the binary too, so that anyone can measure any server; only cmd imports it.
	"bench": {may: []string{"xmpp"}, reason: "a black box is measured from outside: no more of the product than its vocabulary", free: true},
	".":     {reason: "holds tests only"},
}

func TestArch_imports(t *testing.T) {
	_, files := sources(t)
	allow := readAllowed(t, "tools/arch.allow")
	for _, s := range files {
		rule, known := tierRules[tier(s.dir)]
		if !known {
			t.Errorf("%s: folder %q is in no tier: put it where it belongs or add a row to the table", s.path, tier(s.dir))
			continue
		}
		if s.test && tier(s.dir) != "interop" && tier(s.dir) != "bench" {
			continue // tests may build what they need
		}
		for _, imp := range imports(s.file) {
			to, ours := strings.CutPrefix(imp, module+"/")
			if !ours || to == s.dir || strings.HasSuffix(s.path, "_test.go") {
				continue
			}
			if why := refuse(rule, s.dir, to); why != "" && !allow.ok(s.dir+">"+to) {
				t.Errorf("%s imports %s: %s", s.path, to, why)
			}
		}
	}
	allow.reportUnused(t)
}

// refuse says why a package in from's tier must not import to; "" if it may.
func refuse(rule tierRule, from, to string) string {
	if testOnly(to) && tier(to) != "interop" {
		return "it is for tests"
	}
	if tier(from) != tier(to) {
		if slices.Contains(rule.may, tier(to)) {
			return ""
		}
		return rule.reason
	}
	if rule.free {
		return ""
	}
	fr, ok1 := rank(rule, from)
	tr, ok2 := rank(rule, to)
	switch {
	case rule.ranks == nil:
		return rule.reason
	case !ok1:
		return from + " has no rank in the table of arch_test.go"
	case !ok2:
		return to + " has no rank in the table of arch_test.go"
	case tr < fr:
		return ""
	}
	return "siblings import only downwards"
}

// rank is that of the package or of the nearest folder above it.
func rank(rule tierRule, dir string) (int, bool) {
	for {
		if r, ok := rule.ranks[dir]; ok {
			return r, true
		}
		i := strings.LastIndexByte(dir, '/')
		if i < 0 {
			return 0, false
		}
		dir = dir[:i]
	}
}

// doors: each outside library has one, so that replacing it is one package's work.
var doors = []struct {
	lib  string   // import path or its beginning
	at   []string // folders
	test bool     // for tests and test packages everywhere
}{
	{lib: "github.com/jackc/pgx/v5", at: []string{"store"}},
	{lib: "modernc.org/sqlite", at: []string{"store"}},
	{lib: "modernc.org/libc", at: []string{"store"}},
	{lib: "github.com/pressly/goose/v3", at: []string{"store"}},
	{lib: "github.com/xdg-go/scram", at: []string{"xmpp/sasl"}},
	{lib: "github.com/xdg-go/stringprep", at: []string{"xmpp/sasl"}},
	{lib: "golang.org/x/text", at: []string{"xmpp/jid", "xmpp/sasl", "im/search"}}, // search folds words as Unicode says
	{lib: "golang.org/x/net/idna", at: []string{"xmpp/jid"}},
	{lib: "github.com/gobwas/ws", at: []string{"edge/ws"}},
	{lib: "github.com/pelletier/go-toml/v2", at: []string{"server"}},
	{lib: "github.com/spf13/cobra", at: []string{"cmd/parlance", "admin/command"}},
	{lib: "golang.org/x/term", at: []string{"admin/command"}},
	{lib: "github.com/prometheus/client_golang", at: []string{"admin/metric"}},
	{lib: "github.com/minio/minio-go/v7", at: []string{"im/file"}},
	{lib: "golang.org/x/image", at: []string{"im/file"}},
	{lib: "golang.org/x/sync", at: []string{"store", "im", "edge", "server", "admin"}},
	{lib: "golang.org/x/sys", at: []string{"edge/c2s", "store", "server", "interop", "bench"}},
	{lib: "go.uber.org/goleak", test: true},
	{lib: "pgregory.net/rapid", test: true},
	{lib: "github.com/google/go-cmp", test: true},
	{lib: "github.com/rogpeppe/go-internal", test: true},
}

func TestArch_oneDoorPerLibrary(t *testing.T) {
	_, files := sources(t)
	for _, s := range files {
		for _, imp := range imports(s.file) {
			if outside(imp) && !doorOpen(s, imp) {
				t.Errorf("%s imports %s, whose door is elsewhere or not listed in arch_test.go", s.path, imp)
			}
		}
	}
}

func doorOpen(s source, imp string) bool {
	for _, d := range doors {
		if imp != d.lib && !strings.HasPrefix(imp, d.lib+"/") {
			continue
		}
		if d.test || s.test {
			// A test may look behind any door, product code not behind a test library's.
			return s.test
		}
		for _, at := range d.at {
			if s.dir == at || strings.HasPrefix(s.dir, at+"/") {
				return true
			}
		}
	}
	return false
}

// A library's types in our signatures would put its door in every caller.
func TestArch_noOutsideTypesInSignatures(t *testing.T) {
	fset, files := sources(t)
	allow := readAllowed(t, "tools/types.allow")
	for _, s := range files {
		if s.test || tier(s.dir) == "cmd" {
			continue
		}
		names := map[string]string{}
		for _, spec := range s.file.Imports {
			imp := strings.Trim(spec.Path.Value, `"`)
			if !outside(imp) {
				continue
			}
			name := packageName(imp)
			if spec.Name != nil {
				name = spec.Name.Name
			}
			names[name] = imp
		}
		if len(names) == 0 {
			continue
		}
		for _, decl := range s.file.Decls {
			for _, expr := range signatureOf(decl) {
				ast.Inspect(expr, func(n ast.Node) bool {
					sel, ok := n.(*ast.SelectorExpr)
					if !ok {
						return true
					}
					id, ok := sel.X.(*ast.Ident)
					if ok && names[id.Name] != "" && !allow.ok(s.dir+">"+names[id.Name]) {
						t.Errorf("%s: %s.%s of %s in an exported signature", fset.Position(n.Pos()), id.Name, sel.Sel.Name, names[id.Name])
					}
					return true
				})
			}
		}
	}
	allow.reportUnused(t)
}

// packageName guesses a package's name from its path: the last part that is no version.
func packageName(imp string) string {
	parts := strings.Split(imp, "/")
	last := parts[len(parts)-1]
	if len(parts) > 1 && len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" {
		last = parts[len(parts)-2]
	}
	return strings.TrimPrefix(last, "go-")
}

// signatureOf gives the type expressions that a package's users see in a declaration.
func signatureOf(decl ast.Decl) []ast.Node {
	var out []ast.Node
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && (d.Recv == nil || exportedReceiver(d)) {
			out = append(out, d.Type)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			ts, ok := spec.(*ast.TypeSpec)
			if !ok || !ts.Name.IsExported() {
				continue
			}
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				out = append(out, ts.Type)
				continue
			}
			for _, f := range st.Fields.List {
				if len(f.Names) == 0 || f.Names[0].IsExported() {
					out = append(out, f.Type)
				}
			}
		}
	}
	return out
}

func exportedReceiver(d *ast.FuncDecl) bool {
	name := receiver(d)
	return name != "" && ast.IsExported(name)
}

// receiver is the type name a method belongs to; "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	expr := d.Recv.List[0].Type
	for {
		switch x := expr.(type) {
		case *ast.StarExpr:
			expr = x.X
		case *ast.IndexExpr:
			expr = x.X
		case *ast.IndexListExpr:
			expr = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
