package serviceadmin

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/block"
	"github.com/parlance-im/parlance/xmpp/form"
)

// shownReports is how many the commands show, newest first.
const shownReports = 100

// reports are what people said when they blocked somebody (XEP-0377 §6).
type reports struct{ admin }

// commands are its commands.
func (a reports) commands() []im.Command {
	list := a.command("", "Reports of Spam and Abuse", a.listReports)
	list.Node = ownNodes + "#reports"
	dismiss := a.command("", "Dismiss Reports", a.dismissReports, im.Stage{Form: a.reportForm})
	dismiss.Node = ownNodes + "#dismiss-reports"
	return []im.Command{list, dismiss}
}

func (a reports) listReports(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	all, err := a.newest(ctx, c)
	if err != nil {
		return nil, err
	}
	f := form.New("result", ownNodes+"#reports")
	columns := []form.Field{{Var: "id", Label: "Number"}, {Var: "at", Label: "When"}, {Var: "reporter", Label: "Reported by"},
		{Var: "reported", Label: "Reported"}, {Var: "reason", Label: "Reason"}, {Var: "text", Label: "Text"}, {Var: "messages", Label: "Messages"}}
	f.Reported = columns
	for i := range all {
		r := &all[i]
		values := []string{strconv.FormatInt(r.ID, 10), r.At.Format(time.RFC3339), r.Reporter.String(), r.Reported.String(), r.Reason, r.Text, messages(r)}
		row := make([]form.Field, 0, len(columns))
		for k, v := range values {
			row = append(row, form.Field{Var: columns[k].Var, Values: []string{v}})
		}
		f.Items = append(f.Items, row)
	}
	return &im.Outcome{Form: f, Notes: []im.Note{{Type: "info", Text: fmt.Sprintf("%d reports", len(all))}}}, nil
}

// newest are the last reports made by people of the call's host (HARDENING I10).
func (a reports) newest(ctx context.Context, c *im.Call) ([]block.Report, error) {
	return a.Blocks.Reports(ctx, c.Host.Domain(), shownReports)
}

// messages are the reported ones, as archive and id in it.
func messages(r *block.Report) string {
	var out []string
	for _, s := range r.Stanzas {
		out = append(out, s.By+" "+s.ID)
	}
	return strings.Join(out, "\n")
}

func (a reports) reportForm(ctx context.Context, c *im.Call) (*form.Form, error) {
	all, err := a.newest(ctx, c)
	if err != nil {
		return nil, err
	}
	f := form.Field{Var: "reports", Type: "list-multi", Label: "Reports that are dealt with", Required: true}
	for _, r := range all {
		f.Options = append(f.Options, form.Option{Label: fmt.Sprintf("%s: %s", r.Reported, r.Reason), Value: strconv.FormatInt(r.ID, 10)})
	}
	return ask("Dismissing reports", "They are forgotten; the blocks stay.", f), nil
}

func (a reports) dismissReports(ctx context.Context, c *im.Call) (*im.Outcome, error) {
	for _, v := range c.Values("reports") {
		id, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return nil, bad("%q is no report", v)
		}
		if err := a.Blocks.DropReport(ctx, c.Host.Domain(), id); err != nil {
			return nil, err
		}
	}
	return im.Done(fmt.Sprintf("%d reports dismissed", len(c.Values("reports")))), nil
}
