package sizing

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

//go:embed figures.json
var stored []byte

// Figures are what was measured.
type Figures struct {
	Date    string            `json:"date"`
	Version string            `json:"version"`
	Cores   int               `json:"cores"`
	Note    string            `json:"note,omitempty"`
	Figures map[string]Figure `json:"figures"`
}

// Figure is one measurement, as far as it is used here.
type Figure struct {
	CPU        float64 `json:"cpu_ms_per_1000"` // µs each
	RSS        float64 `json:"rss_bytes"`
	RSSBefore  float64 `json:"rss_before_bytes"`
	RSSSession float64 `json:"rss_bytes_per_session"`
	Wire       float64 `json:"wire_bytes_per_unit"`
	Disk       float64 `json:"disk_bytes_per_message"`
}

// Names of the figures used.
const (
	chatFigure     = "chat-2500"
	idleFigure     = "idle-18000"
	presenceFigure = "presence"
	loginFigure    = "login-SCRAM-SHA-256"
	pageFigure     = "archive-1000000"
)

// Stored are the figures compiled in.
func Stored() (Figures, error) {
	var f Figures
	if err := json.Unmarshal(stored, &f); err != nil {
		return f, fmt.Errorf("sizing: figures: %w", err)
	}
	for _, name := range []string{chatFigure, idleFigure, presenceFigure, loginFigure, pageFigure} {
		if _, ok := f.Figures[name]; !ok {
			return f, fmt.Errorf("sizing: figures: no %s", name)
		}
	}
	return f, nil
}

// Company is whom the server is for; its fields are the assumptions.
type Company struct {
	Users    int     `json:"users"`
	Active   float64 `json:"active_percent"`         // of the users are signed in at the busiest time
	Devices  float64 `json:"devices_per_person"`     // sessions of whoever is signed in
	Messages float64 `json:"messages_per_hour"`      // that an active person sends
	Hours    float64 `json:"hours_per_day"`          // of such activity
	Days     float64 `json:"days_per_year"`          // of such hours
	Changes  float64 `json:"presence_per_hour"`      // changes of an active person's presence
	Contacts float64 `json:"contacts"`               // of a person that see them
	Peak     float64 `json:"peak_factor"`            // the busiest minute against the average
	Extra    float64 `json:"extra_bytes"`            // of a message beyond the measured one, on the wire and in the archive
	Rush     float64 `json:"morning_rush_minutes"`   // in which everybody signs in
	Pages    float64 `json:"archive_pages_per_hour"` // that an active person reads
	Years    float64 `json:"years_kept"`
	Headroom float64 `json:"headroom"` // busy at most so much of the machine at the peak, 0 to 1
}

// Default is an office of that many.
func Default(users int) Company {
	return Company{
		Users: users, Active: 60, Devices: 1.5, Messages: 20, Hours: 8, Days: 250, Changes: 6, Contacts: 50, Peak: 5,
		Extra: 0, Rush: 15, Pages: 10, Years: 3, Headroom: 0.5,
	}
}

func (c Company) check() error {
	if c.Users < 1 || c.Users > 100_000_000 {
		return fmt.Errorf("sizing: --users %d: 1 to 100,000,000", c.Users)
	}
	if c.Active <= 0 || c.Active > 100 {
		return fmt.Errorf("sizing: --active %g: more than 0, at most 100 per cent", c.Active)
	}
	if c.Headroom <= 0 || c.Headroom > 1 {
		return fmt.Errorf("sizing: --headroom %g: more than 0, at most 1", c.Headroom)
	}
	for _, v := range []float64{c.Devices, c.Messages, c.Hours, c.Days, c.Changes, c.Contacts, c.Peak, c.Extra, c.Pages, c.Years} {
		if v < 0 || math.IsNaN(v) || v > 1e9 {
			return fmt.Errorf("sizing: %g: an assumption must be 0 to 1,000,000,000", v)
		}
	}
	if c.Rush <= 0 || c.Devices == 0 || c.Peak < 1 {
		return errors.New("sizing: --rush and --devices must be more than 0, --peak at least 1")
	}
	return nil
}

// Line is one result with its formula.
type Line struct {
	What    string  `json:"what"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Formula string  `json:"formula"`
}

// Need is the answer.
type Need struct {
	Company  Company  `json:"assumptions"`
	Measured string   `json:"measured"`
	Lines    []Line   `json:"lines"`
	Cores    float64  `json:"cores"`        // of the kind measured on, headroom included
	Memory   float64  `json:"memory_gib"`   // of the process
	Disk     float64  `json:"disk_gib"`     // for all the years
	Network  float64  `json:"network_mbit"` // at the peak, both directions
	Advice   []string `json:"advice"`
}

// Compute applies the figures to a company.
func Compute(f Figures, c Company) (Need, error) {
	if err := c.check(); err != nil {
		return Need{}, err
	}
	n := Need{Company: c, Measured: fmt.Sprintf("version %s, %s, %d cores", f.Version, f.Date, f.Cores)}
	if f.Note != "" {
		n.Measured += ", " + f.Note
	}
	line := func(what string, v float64, unit, formula string, args ...any) float64 {
		n.Lines = append(n.Lines, Line{what, v, unit, fmt.Sprintf(formula, args...)})
		return v
	}
	chat, idle, pres, login, page := f.Figures[chatFigure], f.Figures[idleFigure], f.Figures[presenceFigure], f.Figures[loginFigure], f.Figures[pageFigure]

	people := line("people signed in", float64(c.Users)*c.Active/100, "people", "%d users × %g %%", c.Users, c.Active)
	sessions := line("sessions", people*c.Devices, "sessions", "%.0f people × %g devices", people, c.Devices)
	msgs := line("messages at the peak", people*c.Messages/3600*c.Peak, "messages/s", "%.0f people × %g an hour ÷ 3600 × peak %g", people, c.Messages, c.Peak)
	seen := c.Contacts * c.Active / 100 * c.Devices
	presences := line("presences at the peak", people*c.Changes/3600*c.Peak*seen, "presences/s", "%.0f people × %g changes an hour ÷ 3600 × peak %g × %.0f sessions that see each", people, c.Changes, c.Peak, seen)
	rush := line("logins in the morning", sessions/(c.Rush*60), "logins/s", "%.0f sessions in %g minutes", sessions, c.Rush)
	pages := line("archive pages at the peak", people*c.Pages/3600*c.Peak, "pages/s", "%.0f people × %g an hour ÷ 3600 × peak %g", people, c.Pages, c.Peak)

	// A message that several devices get costs more than one; the measured one has one receiver.
	copies := 2*c.Devices - 1
	day := line("CPU at the peak", (msgs*chat.CPU*max(1, copies)+presences*pres.CPU+pages*page.CPU)/1e6, "cores",
		"%.1f messages/s × %.1f µs × %.1f copies + %.1f presences/s × %.1f µs + %.1f pages/s × %.0f µs", msgs, chat.CPU, max(1, copies), presences, pres.CPU, pages, page.CPU)
	morning := line("CPU in the morning", (rush*login.CPU+rush*2*seen*pres.CPU)/1e6, "cores",
		"%.1f logins/s × (%.0f µs + 2 × %.0f presences × %.1f µs)", rush, login.CPU, seen, pres.CPU)
	n.Cores = line("cores to have", max(1, math.Ceil(max(day, morning)/c.Headroom)), "cores", "the larger of both ÷ %g busy at most, at least 1", c.Headroom)

	n.Memory = line("memory", (idle.RSSBefore+sessions*idle.RSSSession)*2/(1<<30), "GiB", "(%.0f MB + %.0f sessions × %.1f KB) × 2 (the system's file cache and bursts)", idle.RSSBefore/1e6, sessions, idle.RSSSession/1000)

	year := line("messages a year", people*c.Messages*c.Hours*c.Days, "messages", "%.0f people × %g an hour × %g hours × %g days", people, c.Messages, c.Hours, c.Days)
	n.Disk = line("disk", year*c.Years*(page.Disk+c.Extra)/(1<<30), "GiB", "messages a year × %g years × (%.0f + %g bytes)", c.Years, page.Disk, c.Extra)

	n.Network = line("network at the peak", (msgs*(chat.Wire+c.Extra)*max(1, copies)+presences*pres.Wire+pages*page.Wire)*8/1e6, "Mbit/s",
		"8 × (messages × (%.0f + %g bytes) × %.1f copies + presences × %.0f bytes + pages × %.0f bytes)", chat.Wire, c.Extra, max(1, copies), pres.Wire, page.Wire)
	n.advise(f, msgs)
	return n, nil
}

// advise says in words what the numbers mean.
func (n *Need) advise(f Figures, msgs float64) {
	switch {
	case n.Cores <= 2 && n.Memory <= 4:
		n.Advice = append(n.Advice, "no new hardware: a small virtual machine is enough (2 cores, 4 GiB)")
	case n.Cores <= 8 && n.Memory <= 32:
		n.Advice = append(n.Advice, "one ordinary server of today is enough")
	default:
		n.Advice = append(n.Advice, fmt.Sprintf("one server with %.0f cores and %.0f GiB; the log has one writer, so measure it with your load first", n.Cores, math.Ceil(n.Memory)))
	}
	if msgs > 5000 {
		n.Advice = append(n.Advice, "more messages a second than were measured (5,000): the figures are carried on in a straight line, which nobody has seen")
	}
	n.Advice = append(n.Advice, fmt.Sprintf("a core is one of the machine measured on; measure yours: parlance bench chat (CPU per 1,000 messages there: %.0f ms)", f.Figures[chatFigure].CPU))
	n.Advice = append(n.Advice, "files that people send are not counted; the disk must flush quickly (an SSD)")
}

// JSON writes the answer as one line.
func (n Need) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(n) }

// Table writes the answer for people.
func (n Need) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) } // Flush reports
	for _, l := range n.Lines {
		p("%s\t%s %s\t= %s\n", l.What, number(l.Value), l.Unit, l.Formula)
	}
	p("\nFigures: %s.\n", n.Measured)
	for _, a := range n.Advice {
		p("- %s\n", a)
	}
	return t.Flush()
}

// number is short and readable.
func number(v float64) string {
	switch {
	case v >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case v >= 1:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
