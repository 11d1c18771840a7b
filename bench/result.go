package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is what one run measured. Zero fields were not measured.
type Result struct {
	Workload  string   `json:"workload"`
	Server    string   `json:"server,omitempty"` // its own word (XEP-0092)
	Unit      string   `json:"unit"`             // what Units counts
	Sessions  int      `json:"sessions,omitempty"`
	Asked     int      `json:"asked_per_second,omitempty"`
	Due       int64    `json:"due,omitempty"` // units that should have come
	Units     int64    `json:"units"`         // units that came
	Seconds   float64  `json:"seconds"`
	PerSecond float64  `json:"per_second"`
	Latency   *Latency `json:"latency_ms,omitempty"`
	Ack       *Latency `json:"ack_ms,omitempty"` // XEP-0198 acknowledgement of the same
	// CPUms is the server's CPU time per 1,000 units, in milliseconds.
	CPUms      float64  `json:"cpu_ms_per_1000,omitempty"`
	Cores      float64  `json:"cpu_cores,omitempty"` // that the server used on average
	RSS        int64    `json:"rss_bytes,omitempty"`
	RSSBefore  int64    `json:"rss_before_bytes,omitempty"`
	RSSSession float64  `json:"rss_bytes_per_session,omitempty"`
	WireBytes  float64  `json:"wire_bytes_per_unit,omitempty"`    // both directions
	Disk       float64  `json:"disk_bytes_per_message,omitempty"` // of the archive
	Lost       int64    `json:"lost"`
	Doubled    int64    `json:"doubled"`
	Reordered  int64    `json:"reordered"`
	Dropped    int      `json:"connections_lost,omitempty"`
	Steps      []Step   `json:"steps,omitempty"`
	Notes      []string `json:"notes,omitempty"`
}

// Latency is in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

func (l *Latency) String() string {
	return fmt.Sprintf("%.1f / %.1f / %.1f / %.1f / %.1f ms", l.P50, l.P90, l.P99, l.P999, l.Max)
}

// Step is a part of a run told by itself: a phase, a depth.
type Step struct {
	Name    string   `json:"name"`
	Units   int64    `json:"units"`
	Seconds float64  `json:"seconds,omitempty"`
	CPUms   float64  `json:"cpu_ms_per_1000,omitempty"`
	Latency *Latency `json:"latency_ms,omitempty"`
}

// span measures the server between two moments.
type span struct {
	proc  *Proc
	dial  *Dial
	began time.Time
	use   Usage
	bytes int64
}

func (b *run) span() (*span, error) {
	u, err := b.proc.Usage()
	return &span{b.proc, b.dial, time.Now(), u, b.dial.in.Load() + b.dial.out.Load()}, err
}

// end puts rates and costs of what went on since into r, of which there were r.Units.
func (s *span) end(r *Result) error {
	u, err := s.proc.Usage()
	if err != nil {
		return err
	}
	r.Seconds = time.Since(s.began).Seconds()
	r.RSSBefore, r.RSS = s.use.RSS, u.RSS
	cpu := u.CPU - s.use.CPU
	if r.Seconds > 0 {
		r.PerSecond = float64(r.Units) / r.Seconds
		r.Cores = cpu.Seconds() / r.Seconds
	}
	if r.Units > 0 {
		r.CPUms = perThousand(cpu, r.Units)
		r.WireBytes = float64(s.dial.in.Load()+s.dial.out.Load()-s.bytes) / float64(r.Units)
	}
	return nil
}

// step is end for a part.
func (s *span) step(name string, units int64, h *Hist) (Step, error) {
	u, err := s.proc.Usage()
	st := Step{Name: name, Units: units, Seconds: time.Since(s.began).Seconds()}
	if units > 0 {
		st.CPUms = perThousand(u.CPU-s.use.CPU, units)
	}
	if h != nil {
		st.Latency = h.Latency()
	}
	return st, err
}

func perThousand(cpu time.Duration, units int64) float64 {
	return float64(cpu.Microseconds()) / float64(units) // µs each = ms per 1,000
}

// JSON writes the result as one line.
func (r *Result) JSON(w io.Writer) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// Table writes the result for people.
func (r *Result) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(t, "%s\t"+format+"\n", append([]any{name}, args...)...)
	} // Flush reports
	row(r.Workload, "%s", strings.TrimSpace(fmt.Sprintf("%s, %d sessions", r.Server, r.Sessions)))
	if r.Asked > 0 {
		row("asked", "%d/s", r.Asked)
	}
	row("throughput", "%.1f %s/s (%d in %.1f s)", r.PerSecond, plural(r.Unit), r.Units, r.Seconds)
	if r.Latency != nil {
		row("latency p50/p90/p99/p99.9/max", "%s", r.Latency)
	}
	if r.Ack != nil {
		row("acknowledged after", "%s", r.Ack)
	}
	if r.CPUms > 0 {
		row("server CPU per 1,000 "+plural(r.Unit), "%.1f ms (%.2f cores busy)", r.CPUms, r.Cores)
	}
	if r.RSS > 0 {
		row("server RSS before / after", "%.1f / %.1f MB", float64(r.RSSBefore)/1e6, float64(r.RSS)/1e6)
	}
	if r.RSSSession > 0 {
		row("RSS per session", "%.1f KB", r.RSSSession/1000)
	}
	if r.WireBytes > 0 {
		row("bytes on the wire per "+r.Unit, "%.0f", r.WireBytes)
	}
	row("lost / doubled / reordered", "%d / %d / %d", r.Lost, r.Doubled, r.Reordered)
	if r.Dropped > 0 {
		row("connections lost", "%d", r.Dropped)
	}
	for _, s := range r.Steps {
		text := fmt.Sprintf("%d", s.Units)
		if s.Seconds > 0 {
			text += fmt.Sprintf(" in %.1f s", s.Seconds)
		}
		if s.CPUms > 0 {
			text += fmt.Sprintf(", CPU %.1f ms per 1,000", s.CPUms)
		}
		if s.Latency != nil {
			text += ", " + s.Latency.String()
		}
		row("— "+s.Name, "%s", text)
	}
	for _, n := range r.Notes {
		row("note", "%s", n)
	}
	return t.Flush()
}

func plural(unit string) string {
	if s, ok := strings.CutSuffix(unit, "y"); ok {
		return s + "ies"
	}
	return unit + "s"
}
