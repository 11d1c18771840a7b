package command

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/parlance-im/parlance/im/trace"
)

// Trace is `parlance trace`. open finds the running server.
func Trace(open Running) *cobra.Command {
	var place Place
	c := &cobra.Command{
		Use:   "trace USER",
		Short: "Show live what becomes of a person's stanzas",
		Long: "Show, until it is interrupted, what the running server does with every stanza a person sends or\n" +
			"is sent: the six verbs accept, judge, plan, commit, fanout and write. It shows addresses and\n" +
			"ids, never what is said; that somebody looked is in the server's log.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			client, err := open(c.Context(), place)
			if err != nil {
				return err
			}
			defer client.Close()
			who, err := Opened{Domain: client.Status.Domain}.address(args[0])
			if err != nil {
				return err
			}
			if _, err := client.Get(c.Context(), who); err != nil {
				return plain(who, err)
			}
			return client.Trace(c.Context(), who,
				func() { fmt.Fprintf(c.ErrOrStderr(), "watching %s\n", who) },
				func(e trace.Event) { fmt.Fprintln(c.OutOrStdout(), traceLine(e)) })
		},
	}
	placeFlags(c, &place)
	return c
}

// traceLine is "04:18:01.123456 commit   message c1f0 alice@x/desk → bob@x: at position 7".
func traceLine(e trace.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-7s", e.At.Local().Format("15:04:05.000000"), e.Verb)
	for _, part := range []string{e.Kind, e.ID, e.From} {
		if part != "" {
			b.WriteString(" " + part)
		}
	}
	if e.To != "" {
		b.WriteString(" → " + e.To)
	}
	if e.What != "" {
		b.WriteString(": " + e.What)
	}
	// Ids are the sender's own words: a terminal must not obey them.
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, b.String())
}
