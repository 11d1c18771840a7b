package sizing

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// round figures, so that the expectations can be worked out by hand.
func figures() Figures {
	return Figures{Version: "v", Date: "2026-01-01", Cores: 2, Figures: map[string]Figure{
		chatFigure:     {CPU: 100, Wire: 500},
		idleFigure:     {RSSBefore: 20_000_000, RSSSession: 10_000},
		presenceFigure: {CPU: 10, Wire: 200},
		loginFigure:    {CPU: 1000},
		pageFigure:     {CPU: 500, Wire: 25_000, Disk: 1000},
	}}
}

func TestCompute_table(t *testing.T) {
	base := Company{Users: 36_000, Active: 50, Devices: 1, Messages: 20, Hours: 10, Days: 200, Changes: 2, Contacts: 20, Peak: 2, Rush: 10, Pages: 4, Years: 2, Headroom: .5}
	tests := []struct {
		name   string
		change func(*Company)
		want   map[string]float64
	}{
		{"by hand", func(*Company) {}, map[string]float64{
			"people signed in": 18_000, "sessions": 18_000, "messages at the peak": 200, "presences at the peak": 200, "logins in the morning": 30, "archive pages at the peak": 40,
			"CPU at the peak":     .02 + .002 + .02,
			"CPU in the morning":  30 * (1000 + 2*10*10) / 1e6,
			"cores to have":       1,
			"memory":              (20e6 + 180e6) * 2 / (1 << 30),
			"messages a year":     18_000 * 20 * 10 * 200,
			"disk":                720e6 * 2 * 1000 / (1 << 30),
			"network at the peak": (200*500 + 200*200 + 40*25_000) * 8 / 1e6,
		}},
		{"ten times the people", func(c *Company) { c.Users *= 10 }, map[string]float64{"messages at the peak": 2000, "CPU at the peak": .42, "cores to have": 1}},
		{"a hundred times", func(c *Company) { c.Users *= 100 }, map[string]float64{"CPU at the peak": 4.2, "cores to have": 9}},
		{"two devices get a message three times", func(c *Company) { c.Devices = 2; c.Changes, c.Pages = 0, 0 }, map[string]float64{"sessions": 36_000, "CPU at the peak": .06}},
		{"longer messages", func(c *Company) { c.Extra = 1000 }, map[string]float64{"disk": 720e6 * 2 * 2000 / (1 << 30)}},
	}
	for _, tt := range tests {
		c := base
		tt.change(&c)
		n, err := Compute(figures(), c)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		got := map[string]float64{}
		for _, l := range n.Lines {
			got[l.What] = l.Value
		}
		for what, want := range tt.want {
			if math.Abs(got[what]-want) > 1e-9*math.Abs(want) {
				t.Errorf("%s: %s: %v, want %v", tt.name, what, got[what], want)
			}
		}
	}
}

func TestCompute_refusals(t *testing.T) {
	for name, change := range map[string]func(*Company){
		"no users":           func(c *Company) { c.Users = 0 },
		"too many":           func(c *Company) { c.Users = 1 << 40 },
		"nobody active":      func(c *Company) { c.Active = 0 },
		"more than everyone": func(c *Company) { c.Active = 101 },
		"no headroom":        func(c *Company) { c.Headroom = 0 },
		"negative":           func(c *Company) { c.Messages = -1 },
		"not a number":       func(c *Company) { c.Contacts = math.NaN() },
		"a rush of no time":  func(c *Company) { c.Rush = 0 },
		"a peak below":       func(c *Company) { c.Peak = .5 },
	} {
		c := Default(100)
		change(&c)
		if _, err := Compute(figures(), c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestStored_answersForAnOffice(t *testing.T) {
	f, err := Stored()
	if err != nil {
		t.Fatal(err)
	}
	n, err := Compute(f, Default(5000))
	if err != nil {
		t.Fatal(err)
	}
	var text, line bytes.Buffer
	if err := n.Table(&text); err != nil {
		t.Fatal(err)
	}
	if err := n.JSON(&line); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"people signed in", "5000 users × 60 %", "GiB", "Figures: version", "hardware"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, text.String())
		}
	}
	var back Need
	if err := json.Unmarshal(line.Bytes(), &back); err != nil || back.Cores != n.Cores || n.Cores < 1 || n.Memory <= 0 || n.Disk <= 0 {
		t.Errorf("%v: %+v", err, back)
	}
}
