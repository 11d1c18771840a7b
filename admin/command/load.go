package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/im/account"
)

func (u *users) load() *cobra.Command {
	var iterations int
	c := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Add the accounts of a CSV file; - reads standard input",
		Long: "Add the accounts of a CSV file. Its first line names the columns: user, and password\n" +
			"or scram_sha256 and scram_sha1 (ready-made keys, as iterations:salt:stored:server with\n" +
			"the last three in base64); name, admin and disabled are possible. A bad line is\n" +
			"reported with its number and left out, and makes the exit status 1.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file, size, err := input(c, args[0])
			if err != nil {
				return err
			}
			defer file.Close() // only read from
			return u.with(c.Context(), func(o Opened) error {
				return importAll(c, o, file, account.Import{Domain: o.Domain, Iterations: iterations, Size: size})
			})
		},
	}
	c.Flags().IntVar(&iterations, "scram-iterations", 0, "PBKDF2 rounds for passwords in the file; below 10000 for load tests only (default: as configured)")
	return c
}

func input(c *cobra.Command, name string) (f io.ReadCloser, size int64, err error) {
	if name == "-" {
		return io.NopCloser(c.InOrStdin()), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	if st, err := file.Stat(); err == nil && st.Mode().IsRegular() {
		size = st.Size()
	}
	return file, size, nil
}

func importAll(c *cobra.Command, o Opened, r io.Reader, im account.Import) error {
	m := newMeter(c.ErrOrStderr())
	im.Progress = m.show
	im.Bad = func(line int, why string) { m.line("line %d: %s", line, why) }
	start := time.Now()
	got, err := o.Accounts.Import(c.Context(), r, im)
	m.end()
	d := time.Since(start)
	rate := float64(got.Done) / max(d.Seconds(), 0.001)
	fmt.Fprintf(c.OutOrStdout(), "%s added in %s (%.0f/s), %s left out\n",
		number(got.Done, "account"), d.Round(100*time.Millisecond), rate, number(got.Bad, "line"))
	switch {
	case err != nil:
		return err
	case got.Bad > 0:
		return fmt.Errorf("left out: %s", number(got.Bad, "line"))
	}
	return nil
}

// meter shows progress: a bar that is drawn again on a terminal, else a plain
// line every few seconds.
type meter struct {
	w    io.Writer
	bar  bool
	open bool // a bar stands on the current line
	next time.Time
	now  func() time.Time
}

func newMeter(w io.Writer) *meter {
	_, tty := terminal(w)
	return &meter{w: w, bar: tty, now: time.Now}
}

func (m *meter) show(p account.Progress) {
	now := m.now()
	if now.Before(m.next) {
		return
	}
	if !m.bar {
		m.next = now.Add(5 * time.Second)
		fmt.Fprintln(m.w, status(p))
		return
	}
	m.next = now.Add(100 * time.Millisecond)
	const width = 24
	full := 0
	if p.Total > 0 {
		full = int(min(width, p.Bytes*width/p.Total))
	}
	m.open = true
	fmt.Fprintf(m.w, "\r\x1b[K[%s%s] %s", strings.Repeat("#", full), strings.Repeat(".", width-full), status(p))
}

// line prints a message above the bar.
func (m *meter) line(format string, args ...any) {
	if m.open {
		fmt.Fprint(m.w, "\r\x1b[K")
		m.open = false
	}
	fmt.Fprintf(m.w, format+"\n", args...)
}

func (m *meter) end() {
	if m.open {
		fmt.Fprint(m.w, "\r\x1b[K")
		m.open = false
	}
}

// status is "45 %, 45000 accounts, 3512/s, 16s left".
func status(p account.Progress) string {
	s := fmt.Sprintf("%s, %.0f/s", number(p.Done, "account"), p.Rate)
	if p.Total > 0 {
		s = fmt.Sprintf("%d %%, %s, %s left", p.Bytes*100/p.Total, s, p.Left.Round(time.Second))
	}
	return s
}

func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
