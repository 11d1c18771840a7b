package command

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"
)

func TestReindex_tells(t *testing.T) {
	run := func(f Reindexer) (string, string, error) {
		c := Archive(f)
		var out, errs bytes.Buffer
		c.SetOut(&out)
		c.SetErr(&errs)
		c.SetArgs([]string{"reindex", "--data", "d"})
		err := c.ExecuteContext(t.Context())
		return out.String(), errs.String(), err
	}
	out, errs, err := run(func(_ context.Context, p Place, tell func(done, all int64)) error {
		if p.Data != "d" {
			t.Errorf("place %+v", p)
		}
		tell(8192, 10_000) // the first is told, the next are within seconds
		tell(9000, 10_000)
		tell(10_000, 10_000)
		return nil
	})
	if err != nil || out != "10000 records searchable\n" || errs != " 81 %, 8192 of 10000 records, 0s left\n100 %, 10000 of 10000 records\n" {
		t.Errorf("%q %q %v", out, errs, err)
	}
	if _, _, err = run(func(context.Context, Place, func(done, all int64)) error { return errors.New("no") }); err == nil {
		t.Error("a failure is not told")
	}
}

func TestProgress_bar(t *testing.T) {
	for _, tt := range []struct {
		done, all int64
		want      string
	}{
		{0, 0, "\r[##############################] 100 %, 0 of 0 records\x1b[K"},
		{1, 4, "\r[#######                       ]  25 %, 1 of 4 records, 30s left\x1b[K"},
	} {
		if got := progress(tt.done, tt.all, 10*time.Second, true); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
