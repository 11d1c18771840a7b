package metric

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// listed are the names of testdata/names.txt with their kinds.
func listed(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, kind, _ := strings.Cut(strings.TrimSpace(line), " ")
		out[name] = kind
	}
	return out
}

// unknown gives the names of metrics in an expression that we do not have.
func unknown(known map[string]string, expr string) (bad []string) {
	for _, name := range regexp.MustCompile(`\b(parlance|process|go)_[a-z0-9_]+`).FindAllString(expr, -1) {
		kind := known[name]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && known[base] == "histogram" {
				kind = "part"
			}
		}
		// A histogram has no samples under its own name.
		if kind == "" || kind == "histogram" {
			bad = append(bad, name)
		}
	}
	return bad
}

func TestUnknown_seesWhatIsMissing(t *testing.T) {
	known := map[string]string{"parlance_a_total": "counter", "parlance_b_seconds": "histogram"}
	for expr, want := range map[string]int{
		`rate(parlance_a_total{x="go_away"}[5m])`: 1, "parlance_b_seconds_bucket + parlance_b_seconds_sum": 0,
		"parlance_b_seconds": 1, "parlance_a_total_count": 1, "parlance_c / process_x": 2,
	} {
		if got := unknown(known, expr); len(got) != want {
			t.Errorf("%s: %v", expr, got)
		}
	}
}

func TestDashboard_showsWhatThereIs(t *testing.T) {
	known := listed(t)
	text, err := os.ReadFile("../../deploy/grafana/parlance.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Definition string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	exprs, ids, taken := 0, map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: its id is another panel's too", p.Title)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other := taken[at]; other != "" || at[0] > 23 {
					t.Fatalf("%s lies on %q at %v", p.Title, other, at)
				}
				taken[at] = p.Title
			}
		}
		for _, q := range p.Targets {
			exprs++
			for _, name := range unknown(known, q.Expr) {
				t.Errorf("%s: there is no %s", p.Title, name)
			}
		}
	}
	for _, v := range d.Templating.List {
		for _, name := range unknown(known, v.Definition) {
			t.Errorf("variable: there is no %s", name)
		}
	}
	if exprs < 30 {
		t.Errorf("only %d queries were looked at", exprs)
	}
}

func TestAlerts_watchWhatThereIs(t *testing.T) {
	known := listed(t)
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	exprs := regexp.MustCompile(`(?m)^\s+expr: (.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(exprs) < 5 || len(exprs) != strings.Count(string(text), "- alert:") {
		t.Fatalf("%d expressions for %d alerts", len(exprs), strings.Count(string(text), "- alert:"))
	}
	for _, e := range exprs {
		for _, name := range unknown(known, e[1]) {
			t.Errorf("%s: there is no %s", e[1], name)
		}
	}
}
