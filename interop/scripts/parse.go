package scripts

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/parlance-im/parlance/interop/client"
)

// script is one parsed file.
type script struct {
	name, title, spec string
	differs           map[string]string // server kind → reason
	devices           map[string]device
	order             []string // devices as declared
	steps             []step
}

type device struct{ user, resource, lang string }

type step struct {
	line     int
	who      string
	verb     verb
	arg      string
	stanzas  []string // XML as written
	expected []*client.Node
}

type verb int

const (
	connects verb = iota
	online
	sends
	receives
	receivesAny
	nothing
	ignores
	forgets
	disconnects
	cut
	loses
)

var verbs = []struct {
	re *regexp.Regexp
	v  verb
}{
	{regexp.MustCompile(`^connects$`), connects},
	{regexp.MustCompile(`^comes online(?: at (-?\d+))?$`), online},
	{regexp.MustCompile(`^sends:$`), sends},
	{regexp.MustCompile(`^receives:$`), receives},
	{regexp.MustCompile(`^receives in any order:$`), receivesAny},
	{regexp.MustCompile(`^receives nothing$`), nothing},
	{regexp.MustCompile(`^ignores ((?:message|presence|iq)(?: from \S+)?)$`), ignores},
	{regexp.MustCompile(`^forgets$`), forgets},
	{regexp.MustCompile(`^disconnects$`), disconnects},
	{regexp.MustCompile(`^is cut off$`), cut},
	{regexp.MustCompile(`^loses the stream: ([a-z-]+)$`), loses},
}

var deviceLine = regexp.MustCompile(`^client (\w+) = (\w+)/(\S+?)(?: in (\S+))?$`)

func parse(name, text string) (*script, error) {
	s := &script{name: name, differs: map[string]string{}, devices: map[string]device{}}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimRight(lines[i], " \t\r")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fail := func(what string) error { return fmt.Errorf("%s:%d: %s: %q", name, i+1, what, line) }
		if m := deviceLine.FindStringSubmatch(line); m != nil {
			s.devices[m[1]] = device{m[2], m[3], m[4]}
			s.order = append(s.order, m[1])
			continue
		}
		if key, val, ok := strings.Cut(line, ": "); ok && s.header(key, strings.TrimSpace(val)) {
			continue
		}
		who, what, _ := strings.Cut(line, " ")
		if _, ok := s.devices[who]; !ok {
			return nil, fail("no such client")
		}
		st, ok := command(what)
		if !ok {
			return nil, fail("no such command")
		}
		st.line, st.who = i+1, who
		var xml strings.Builder
		for i+1 < len(lines) && (strings.HasPrefix(lines[i+1], " ") || strings.HasPrefix(lines[i+1], "\t")) {
			i++
			xml.WriteString(strings.TrimSpace(lines[i]) + " ")
		}
		if err := st.payload(xml.String()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, st.line, err)
		}
		s.steps = append(s.steps, st)
	}
	if s.title == "" || s.spec == "" || len(s.steps) == 0 {
		return nil, fmt.Errorf("%s: title, spec and steps are needed", name)
	}
	return s, nil
}

func (s *script) header(key, val string) bool {
	switch key {
	case "title":
		s.title = val
	case "spec":
		s.spec = val
	case "expect-differs":
		kind, why, _ := strings.Cut(val, " ")
		s.differs[kind] = why
	default:
		return false
	}
	return true
}

func command(text string) (step, bool) {
	for _, v := range verbs {
		if m := v.re.FindStringSubmatch(text); m != nil {
			st := step{verb: v.v}
			if len(m) > 1 {
				st.arg = m[1]
			}
			return st, true
		}
	}
	return step{}, false
}

func (st *step) payload(xml string) error {
	needs := st.verb == sends || st.verb == receives || st.verb == receivesAny
	if !needs {
		if xml != "" {
			return fmt.Errorf("this command takes no XML")
		}
		return nil
	}
	w, err := client.ParseNode("<w>" + xml + "</w>")
	if err != nil {
		return fmt.Errorf("XML: %w", err)
	}
	if len(w.Kids) == 0 {
		return fmt.Errorf("XML is missing")
	}
	clean(w)
	if st.verb == sends {
		st.stanzas = []string{squeeze(xml)}
		return nil
	}
	st.expected = w.Kids
	return nil
}

// squeeze removes the white space that laying a stanza out in lines brings.
func squeeze(xml string) string {
	return strings.TrimSpace(regexp.MustCompile(`>\s+<`).ReplaceAllString(xml, "><"))
}

// clean trims layout from text.
func clean(n *client.Node) {
	if len(n.Kids) > 0 || strings.TrimSpace(n.Text) == "" {
		n.Text = strings.TrimSpace(n.Text)
	}
	for _, k := range n.Kids {
		clean(k)
	}
}
