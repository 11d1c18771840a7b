package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/parlance-im/parlance/im/trace"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// trace tells what becomes of one account's stanzas, a line of JSON an event,
// until the peer has gone.
func (s *Server) trace(w http.ResponseWriter, r *http.Request) error {
	who, err := address(r.URL.Query().Get("jid"))
	if err != nil {
		return err
	}
	if s.Trace == nil {
		return &badRequest{"nothing can be watched here"}
	}
	if err := s.here(r.Context(), who); err != nil {
		return err
	}
	events, lost, stop := s.Trace.Watch(who)
	defer stop()
	// Who looks at people's traffic is on record.
	s.log().Info("admin: trace began", "account", who.String())
	defer s.log().Info("admin: trace ended", "account", who.String())
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	rc, enc := http.NewResponseController(w), json.NewEncoder(w)
	for {
		if len(events) == 0 {
			_ = rc.Flush() // a peer that has gone away ends r.Context()
		}
		select {
		case e := <-events:
			if n := lost(); n > 0 {
				_ = enc.Encode(trace.Event{At: time.Now(), Verb: "lost", What: fmt.Sprintf("%d events, too many to show", n)})
			}
			_ = enc.Encode(e)
		case <-r.Context().Done():
			return nil
		}
	}
}

// Trace calls f for every event of an account's stanzas until ctx ends, or the
// server stops, which is no error. began is called when everything from then on is seen.
func (c *Client) Trace(ctx context.Context, who jid.JID, began func(), f func(trace.Event)) error {
	res, err := c.send(ctx, http.MethodGet, "/v1/trace?"+url.Values{"jid": {who.String()}}.Encode(), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	began()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxBody)
	for lines.Scan() {
		var e trace.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("api: answer: %w", err)
		}
		f(e)
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("api: trace: %w", err)
	}
	return nil
}
