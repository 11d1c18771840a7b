package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Reindexer makes the index of words anew, and tells how far it is: records of records.
type Reindexer func(ctx context.Context, p Place, tell func(done, all int64)) error

// Archive is `parlance archive`.
func Archive(reindex Reindexer) *cobra.Command {
	c := &cobra.Command{
		Use:   "archive",
		Short: "Work on the archive of a stopped server",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(reindexing(reindex))
	return c
}

func reindexing(reindex Reindexer) *cobra.Command {
	var place Place
	c := &cobra.Command{
		Use:   "reindex",
		Short: "Make the index that messages are searched by anew",
		Long: "Make the index that messages are searched by anew, from the messages. Nothing is lost without it:\n" +
			"a running server makes what is missing of it by itself, and reads through what is not indexed yet.\n" +
			"Broken off, it is gone on with by the next start of the server.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			out := c.ErrOrStderr()
			_, bar := terminal(out)
			began, next := time.Now(), time.Time{}
			var records int64
			err := reindex(c.Context(), place, func(done, all int64) {
				records = all
				if now := time.Now(); bar || now.After(next) || done == all {
					next = now.Add(5 * time.Second)
					fmt.Fprint(out, progress(done, all, time.Since(began), bar))
				}
			})
			if bar {
				fmt.Fprintln(out)
			}
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "%s searchable\n", number(int(records), "record"))
			}
			return err
		},
	}
	placeFlags(c, &place)
	return c
}

// progress is a line, or on a terminal a bar that is drawn over the one before.
func progress(done, all int64, took time.Duration, bar bool) string {
	share := int64(100)
	if all > 0 {
		share = done * 100 / all
	}
	s := fmt.Sprintf("%3d %%, %d of %d records", share, done, all)
	if done > 0 && done < all {
		s += fmt.Sprintf(", %s left", (took * time.Duration(all-done) / time.Duration(done)).Round(time.Second))
	}
	if !bar {
		return s + "\n"
	}
	const width = 30
	full := int(share) * width / 100
	return "\r[" + strings.Repeat("#", full) + strings.Repeat(" ", width-full) + "] " + s + "\x1b[K"
}
