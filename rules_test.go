package parlance

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A message is archived once, after it was judged and planned: only the path may write records.
func TestRules_onlyDeliverAppendsToTheArchive(t *testing.T) {
	fset, files := sources(t)
	for _, s := range files {
		if s.test || s.dir == "im/deliver" || s.dir == "im/archive" || !slices.Contains(imports(s.file), module+"/im/archive") {
			continue
		}
		packages := map[string]bool{}
		for _, imp := range imports(s.file) {
			if name := packageName(imp); name != "archive" {
				packages[name] = true
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Append" {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && packages[id.Name] {
				return true
			}
			t.Errorf("%s: Append is called outside im/deliver", fset.Position(call.Pos()))
			return true
		})
	}
}

// Registration is for what has no order, and it is data in a list: no init, no
// blank imports, no variables of a package that change.
func TestRules_noHiddenRegistration(t *testing.T) {
	fset, files := sources(t)
	for _, s := range files {
		if s.test {
			continue
		}
		for _, spec := range s.file.Imports {
			// The embed package exists for its directive; a driver is behind the store's door.
			if spec.Name != nil && spec.Name.Name == "_" && spec.Path.Value != `"embed"` && tier(s.dir) != "store" {
				t.Errorf("%s: blank import of %s", s.path, spec.Path.Value)
			}
		}
		vars := packageVars(s.file)
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init function", fset.Position(f.Pos()))
			}
			local := declared(f)
			ast.Inspect(f, func(n ast.Node) bool {
				for _, target := range assigned(n) {
					if id, ok := target.(*ast.Ident); ok && vars[id.Name] && !local[id.Name] {
						t.Errorf("%s: the package's variable %s is changed: global state", fset.Position(id.Pos()), id.Name)
					}
				}
				return true
			})
		}
	}
}

// packageVars are the names of a file's package-level variables.
func packageVars(f *ast.File) map[string]bool {
	vars := map[string]bool{}
	for _, decl := range f.Decls {
		if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.VAR {
			addSpecs(vars, g)
		}
	}
	return vars
}

func addSpecs(names map[string]bool, g *ast.GenDecl) {
	for _, spec := range g.Specs {
		if v, ok := spec.(*ast.ValueSpec); ok {
			for _, id := range v.Names {
				names[id.Name] = true
			}
		}
	}
}

// declared are the names a function declares anywhere in it: they may hide the package's.
func declared(f *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	add := func(list ...ast.Expr) {
		for _, e := range list {
			if id, ok := e.(*ast.Ident); ok {
				names[id.Name] = true
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.Field:
			for _, id := range x.Names {
				names[id.Name] = true
			}
		case *ast.AssignStmt:
			if x.Tok == token.DEFINE {
				add(x.Lhs...)
			}
		case *ast.RangeStmt:
			if x.Tok == token.DEFINE {
				add(x.Key, x.Value)
			}
		case *ast.GenDecl:
			addSpecs(names, x)
		}
		return true
	})
	return names
}

// assigned lists what a statement writes to; an element or a field counts as its variable.
func assigned(n ast.Node) []ast.Expr {
	var targets []ast.Expr
	switch s := n.(type) {
	case *ast.AssignStmt:
		if s.Tok == token.DEFINE {
			return nil
		}
		targets = s.Lhs
	case *ast.IncDecStmt:
		targets = []ast.Expr{s.X}
	default:
		return nil
	}
	out := make([]ast.Expr, len(targets))
	for i, e := range targets {
		for {
			if x, ok := e.(*ast.IndexExpr); ok {
				e = x.X
			} else if x, ok := e.(*ast.SelectorExpr); ok {
				e = x.X
			} else {
				break
			}
		}
		out[i] = e
	}
	return out
}

// bannedImports names what must not be used, where, and why.
var bannedImports = []struct{ imp, tier, why string }{
	{"math/rand", "", "ids and tokens are from crypto/rand: HARDENING A10"},
	{"math/rand/v2", "", "ids and tokens are from crypto/rand: HARDENING A10"},
	{"text/template", "", "it escapes nothing: HARDENING T5"},
	{"unsafe", "xmpp", "parsers read hostile bytes: HARDENING T5"},
	{"encoding/xml", "xmpp", "it accepts what is not XML and doesn't round-trip: HARDENING X5, X6"},
	{"C", "", "the product builds without cgo"},
	{"log", "", "log/slog"},
	{"io/ioutil", "", "it is replaced by io and os"},
}

func TestRules_bannedImports(t *testing.T) {
	_, files := sources(t)
	for _, s := range files {
		if s.test {
			continue
		}
		for _, imp := range imports(s.file) {
			for _, b := range bannedImports {
				if imp == b.imp && (b.tier == "" || b.tier == tier(s.dir)) {
					t.Errorf("%s imports %s: %s", s.path, imp, b.why)
				}
			}
		}
	}
}

var bannedName = regexp.MustCompile(`(Manager|Service|Helper|Util|Utils|Impl|Base)$`)

// Names say what a thing is; these words say nothing.
func TestRules_typeNames(t *testing.T) {
	fset, files := sources(t)
	for _, s := range files {
		if bannedName.MatchString(strings.ToUpper(s.file.Name.Name[:1])+s.file.Name.Name[1:]) && !s.test {
			t.Errorf("%s: package name %s", s.path, s.file.Name.Name)
		}
		for _, decl := range s.file.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok && bannedName.MatchString(ts.Name.Name) {
					t.Errorf("%s: type name %s", fset.Position(ts.Pos()), ts.Name.Name)
				}
			}
		}
	}
}

var pauses = []string{"time.Sleep", "t.Skip", "t.Skipf", "t.SkipNow", "tb.Skip", "tb.Skipf", "b.Skipf", "b.SkipNow", "f.Skip", "f.Skipf", "f.SkipNow"}

// A test waits for an event, never for time: a sleep is too short on a busy machine and too long on every other.
func TestRules_testsDoNotSleep(t *testing.T) {
	fset, files := sources(t)
	allow := readAllowed(t, "tools/sleep.allow")
	for _, s := range files {
		if !s.test || tier(s.dir) == "bench" { // a load generator keeps a pace
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && slices.Contains(pauses, id.Name+"."+sel.Sel.Name) && !allow.ok(s.path) {
				t.Errorf("%s: %s.%s in a test (list it in tools/sleep.allow with a reason if it polls or skips for one)", fset.Position(n.Pos()), id.Name, sel.Sel.Name)
			}
			return true
		})
	}
	allow.reportUnused(t)
}

// net/http/pprof registers itself with the default mux when it is imported, and
// so may any library: whoever serves that mux shows the inside of the process.
func TestRules_nobodyServesTheDefaultMux(t *testing.T) {
	fset, files := sources(t)
	for _, s := range files {
		if s.test {
			continue
		}
		if slices.Contains(imports(s.file), "net/http/pprof") && s.dir != "admin/api" {
			t.Errorf("%s imports net/http/pprof: profiles are on the admin socket only", s.path)
		}
		for _, bad := range defaultMux(s.file) {
			t.Errorf("%s: the default mux is used here: name the handler", fset.Position(bad.Pos()))
		}
	}
}

// defaultMux finds where a file uses net/http's default mux: by name, through
// the functions that register with it, or as the handler of who names none.
func defaultMux(f *ast.File) (bad []ast.Node) {
	name := ""
	for _, spec := range f.Imports {
		if spec.Path.Value == `"net/http"` {
			name = "http"
			if spec.Name != nil {
				name = spec.Name.Name
			}
		}
	}
	if name == "" {
		return nil
	}
	is := func(e ast.Expr, names ...string) bool {
		sel, ok := e.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		id, ok := sel.X.(*ast.Ident)
		return ok && id.Name == name && slices.Contains(names, sel.Sel.Name)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.SelectorExpr:
			if is(x, "DefaultServeMux", "Handle", "HandleFunc", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS") {
				bad = append(bad, x)
			}
		case *ast.CompositeLit:
			if !is(x.Type, "Server") {
				return true
			}
			for _, e := range x.Elts {
				kv, ok := e.(*ast.KeyValueExpr)
				if !ok {
					continue
				}
				key, _ := kv.Key.(*ast.Ident)
				value, _ := kv.Value.(*ast.Ident)
				if key != nil && key.Name == "Handler" && (value == nil || value.Name != "nil") {
					return true
				}
			}
			bad = append(bad, x)
		}
		return true
	})
	return bad
}
