package parlance

import (
	"go/ast"
	"slices"
	"testing"
)

// A token is what rand.Text makes: 130 bits of the system's (HARDENING A10). Whatever else takes random bytes is
// here, with how many it takes and what for; a number that stands for an identity or a permission has 128 at least.
var randomness = map[string]struct {
	uses int
	why  string
}{
	"server/certificate.go":  {6, "keys and serial numbers of the demo's certificates"},
	"server/login.go":        {1, "256 bits: the key that tokens are made with"},
	"bench/fast.go":          {1, "a client's number in a load"},
	"im/account/token.go":    {1, "256 bits: tokens, cookies, the set-up token; stored as a hash, so they need not be readable"},
	"im/account/fast.go":     {1, "256 bits: the seed of a device's token (XEP-0484)"},
	"im/account/account.go":  {1, "256 bits: the key of tokens where the configuration has none"},
	"im/account/upgrade.go":  {1, "salt"},
	"im/account/write.go":    {1, "salt"},
	"im/account/fake.go":     {1, "256 bits: the key of made-up salts (A6)"},
	"im/archive/append.go":   {1, "salts of the log's leaves"},
	"im/room/store.go":       {1, "256 bits: the key of occupant ids (XEP-0421)"},
	"im/room/pass.go":        {1, "80 bits: the id of an iq passed on (I5 asks for 64)"},
	"im/route/table.go":      {1, "80 bits: the id of a push (I5 asks for 64)"},
	"im/pep/caps.go":         {1, "80 bits: the id of a question (I5 asks for 64)"},
	"im/pep/event.go":        {1, "64 bits: the id of an event, which permits nothing"},
	"im/pubsub/write.go":     {1, "80 bits: the name of an item that was given none"},
	"im/deliver/sessions.go": {1, "80 bits: a resource (RFC 6120 §7.6), which its contacts see"},
	"im/deliver/reply.go":    {1, "48 bits: names an incident in the log"},
	"edge/http/handler.go":   {1, "50 bits of rand.Text: names an incident in the log"},
	"edge/c2s/end.go":        {1, "50 bits of rand.Text: names an incident in the log"},
	"edge/c2s/bind2.go":      {1, "80 bits of rand.Text: a resource (XEP-0386)"},
}

// HARDENING A10, §9: one token function.
func TestRules_oneTokenFunction(t *testing.T) {
	fset, files := sources(t)
	text := 0
	for _, s := range files {
		if s.test || testOnly(s.dir) || !slices.Contains(imports(s.file), "crypto/rand") {
			continue
		}
		n := 0
		whole := map[ast.Node]bool{} // calls of rand.Text that are taken as they are
		ast.Inspect(s.file, func(x ast.Node) bool {
			if cut, ok := x.(*ast.SliceExpr); ok && isRand(cut.X, "Text") {
				n++
				t.Logf("%s: a part of a token", fset.Position(x.Pos()))
				whole[cut.X] = true
			}
			if call, ok := x.(*ast.CallExpr); ok && isRand(call, "Text") && !whole[call] {
				text++
				whole[call.Fun] = true
			} else if ok && whole[call] {
				whole[call.Fun] = true
			}
			if sel, ok := x.(*ast.SelectorExpr); ok && !whole[sel] {
				if id, ok := sel.X.(*ast.Ident); ok && id.Name == "rand" {
					n++
				}
			}
			return true
		})
		if may := randomness[s.path]; n != may.uses {
			t.Errorf("%s takes random bytes %d times beside rand.Text, listed are %d: a token is rand.Text(); for anything else say here what it is", s.path, n, may.uses)
		}
	}
	if text < 8 {
		t.Errorf("rand.Text is called in %d places: this test does not see them", text)
	}
}

// isRand says whether an expression is a call of a function of package rand.
func isRand(x ast.Expr, name string) bool {
	call, ok := x.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == "rand"
}
