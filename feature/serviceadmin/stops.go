package serviceadmin

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/form"
)

// stops end the server, for a moment or for good.
type stops struct{ admin }

// commands are its commands.
func (a stops) commands() []im.Command {
	stage := func(title, what string) im.Stage {
		options := []form.Option{{Label: "at once", Value: "0"}}
		for _, s := range []int{30, 60, 90, 120, 180, 240, 300} {
			options = append(options, form.Option{Label: span(time.Duration(s) * time.Second), Value: strconv.Itoa(s)})
		}
		return fixed(title, "Everybody who is online is told. A later request takes the place of an earlier one.",
			form.Field{Var: "delay", Type: "list-single", Label: "Time delay before " + what, Options: options, Values: []string{"60"}},
			form.Field{Var: "announcement", Type: "text-multi", Label: "Announcement"})
	}
	return []im.Command{
		a.command("restart", "Restart Service", a.stop(true), stage("Restarting the service", "restarting")),
		a.command("shutdown", "Shut Down Service", a.stop(false), stage("Shutting down the service", "shutting down")),
	}
}

// soon lets the answer reach the administrator before the server stops.
const soon = time.Second

// stop is XEP-0133 §4.30 and §4.31.
func (a stops) stop(restart bool) runner {
	what := "shut down"
	if restart {
		what = "restarted"
	}
	return func(ctx context.Context, c *im.Call) (*im.Outcome, error) {
		delay := time.Minute
		if v := c.Value("delay"); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return nil, bad("the delay is a number of seconds")
			}
			delay = time.Duration(n) * time.Second
		}
		text := strings.TrimSpace(strings.Join(c.Values("announcement"), "\n"))
		if len(text) > maxText {
			return nil, bad("the text is too long: at most %d bytes", maxText)
		}
		if text == "" {
			text = "The server is going to be " + what + " " + in(delay) + "."
		}
		if _, err := a.tell(ctx, c, c.ID, "The server stops", text); err != nil {
			return nil, err
		}
		a.Stop(max(delay, soon), restart)
		return im.Done("the server is " + what + " " + in(delay)), nil
	}
}

func in(d time.Duration) string {
	if d == 0 {
		return "now"
	}
	return "in " + span(d)
}

func span(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	}
	return fmt.Sprintf("%d minutes", int(d.Minutes()))
}
