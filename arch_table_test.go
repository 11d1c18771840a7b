package parlance

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// The table itself, tried: a rule that refuses nothing would pass on any tree.
func TestRefuse_table(t *testing.T) {
	tests := []struct {
		from, to string
		ok       bool
	}{
		{"xmpp/elem", "xmpp/jid", true},
		{"xmpp/jid", "xmpp/elem", false},
		{"xmpp/jid", "im/route", false},
		{"xmpp/stanza", "store", false},
		{"store", "xmpp/jid", false},
		{"im/deliver", "im/archive", true},
		{"im/archive", "im/deliver", false},
		{"im/roster", "im/account", false}, // same rank
		{"im/roster", "edge/c2s", false},
		{"im/route", "corp/policy", false},
		{"im/unheard", "im/route", false}, // no rank yet: add it to the table
		{"feature/ping", "im", true},
		{"feature/ping", "feature/time", false},
		{"corp/policy", "corp/directory", true},
		{"corp/directory", "corp/policy", false},
		{"edge/c2s", "im/deliver", true},
		{"edge/ws", "edge/c2s", true},
		{"edge/c2s", "edge/ws", false},
		{"edge/http", "store", false},
		{"edge/http", "corp/identity", false},
		{"media/turn", "cluster", false},
		{"admin/api", "store", false},
		{"admin/command", "admin/api", true},
		{"admin/api", "server", false},
		{"server", "store/storetest", false},
		{"server", "web", true},
		{"cmd/parlance", "server", true},
		{"cmd/parlance", "im/deliver", false},
		{"interop/faults", "server", false},
		{"interop/faults", "interop/client", true},
		{"bench", "im/route", false},
		{"bench", "interop/client", false},
		{"bench/rig", "bench", true},
		{"cmd/parlance", "bench", true},
		{"cmd/parlance", "bench/rig", false}, // it starts servers under test
		{"server", "bench", false},
	}
	for _, tt := range tests {
		why := refuse(tierRules[tier(tt.from)], tt.from, tt.to)
		if (why == "") != tt.ok {
			t.Errorf("%s imports %s: refused %q, want ok %v", tt.from, tt.to, why, tt.ok)
		}
	}
}

func TestDoorOpen_table(t *testing.T) {
	tests := []struct {
		dir, imp string
		test, ok bool
	}{
		{"store", "github.com/jackc/pgx/v5/pgxpool", false, true},
		{"im/archive", "github.com/jackc/pgx/v5", false, false},
		{"im/archive", "github.com/jackc/pgx/v5", true, true},
		{"edge/ws", "github.com/gobwas/ws/wsutil", false, true},
		{"edge/http", "github.com/gobwas/ws", false, false},
		{"im/route", "go.uber.org/goleak", false, false},
		{"im/route", "go.uber.org/goleak", true, true},
		{"im/route", "example.com/unheard/of", true, false}, // not in go.mod's list of doors
	}
	for _, tt := range tests {
		if got := doorOpen(source{dir: tt.dir, test: tt.test}, tt.imp); got != tt.ok {
			t.Errorf("%s (test: %v) imports %s: %v, want %v", tt.dir, tt.test, tt.imp, got, tt.ok)
		}
	}
}

func TestRules_seeWhatTheyForbid(t *testing.T) {
	src := `package x
var total int
var seen = map[string]int{}
func bad() { total++; seen["a"] = 1 }
func fine() { total := 1; total++; seen := map[string]int{}; seen["a"] = total }
func (x *T) Get() lib.Type { return lib.Type{} }
type T struct { Open lib.Type; hidden lib.Type }
`
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	vars, changed := packageVars(f), map[string]int{}
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		local := declared(fn)
		ast.Inspect(fn, func(n ast.Node) bool {
			for _, e := range assigned(n) {
				if id, ok := e.(*ast.Ident); ok && vars[id.Name] && !local[id.Name] {
					changed[fn.Name.Name]++
				}
			}
			return true
		})
	}
	if changed["bad"] != 2 || changed["fine"] != 0 {
		t.Errorf("changes seen: %v, want 2 in bad and none in fine", changed)
	}
	outsideTypes := 0
	for _, decl := range f.Decls {
		for _, expr := range signatureOf(decl) {
			ast.Inspect(expr, func(n ast.Node) bool {
				if _, ok := n.(*ast.SelectorExpr); ok {
					outsideTypes++
				}
				return true
			})
		}
	}
	if outsideTypes != 2 { // Get's result and the field Open, not the hidden one
		t.Errorf("%d outside types seen in signatures, want 2", outsideTypes)
	}
}

func TestDefaultMux_seesEveryWay(t *testing.T) {
	src := `package x
import web "net/http"
var a = web.Server{Addr: ":1"}
var b = &web.Server{Handler: nil, Addr: ":1"}
var c = web.DefaultServeMux
func f() { web.HandleFunc("/", nil); http.HandleFunc("/", nil); _ = web.ListenAndServe("", nil) }
`
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := defaultMux(f); len(got) != 5 { // a, b, c, HandleFunc, ListenAndServe
		t.Errorf("%d uses seen, want 5", len(got))
	}
}
