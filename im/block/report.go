package block

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// ReportSpace is the namespace of XEP-0377.
const ReportSpace = "urn:xmpp:reporting:1"

// Bounds of what somebody can make the administrator read.
const (
	maxSaid      = 2000 // bytes of text
	maxReason    = 200
	maxReported  = 50 // stanza ids in one report
	reportsADay  = 100
	reportWindow = 24 * time.Hour
)

const (
	sqlReportAdd = `INSERT INTO report (at, reporter, reported, reason, said, lang, stanza_ids, forward)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	sqlReportsSince = `SELECT count(*) FROM report WHERE reporter = $1 AND at > $2`
	sqlReports      = `SELECT id, at, reporter, reported, reason, said, lang, stanza_ids, forward FROM report
		WHERE substr(reporter, length(reporter) - length($1)) = '@' || $1 ORDER BY id DESC LIMIT $2`
	sqlReportDrop = `DELETE FROM report WHERE id = $2 AND substr(reporter, length(reporter) - length($1)) = '@' || $1`
)

// StanzaID names a message in somebody's archive (XEP-0359 §3).
type StanzaID struct {
	By string `json:"by"`
	ID string `json:"id"`
}

// Report is what somebody said of an address when blocking it.
type Report struct {
	ID                 int64
	At                 time.Time
	Reporter, Reported jid.JID
	Reason, Text, Lang string
	Stanzas            []StanzaID
	// Forward is what the reporter allowed to be done with it (XEP-0377 §5); this
	// server keeps it for its administrators and forwards nothing.
	Forward []string
}

// readReport reads the <report/> of an <item/>; nil if it has none.
func readReport(item *elem.Element) (*Report, error) {
	e := item.Child(ReportSpace, "report")
	if e == nil {
		return nil, nil
	}
	r := &Report{Reason: e.Attr("reason")}
	if r.Reason == "" || len(r.Reason) > maxReason {
		return nil, stanza.Fail("bad-request", "a report needs a reason, like urn:xmpp:reporting:spam or urn:xmpp:reporting:abuse") // XEP-0377 §4
	}
	for _, c := range e.Children {
		switch {
		case c.Local == "text" && c.Space == ReportSpace && r.Text == "":
			r.Text, r.Lang = short(strings.TrimSpace(c.Text)), c.Attr("xml:lang")
			if len(r.Lang) > 35 { // RFC 5646 §4.4.1: longer tags need not be kept
				r.Lang = ""
			}
		case c.Local == "stanza-id" && c.Space == "urn:xmpp:sid:0":
			if len(r.Stanzas) == maxReported || len(c.Attr("id")) > 256 || len(c.Attr("by")) > 3071 {
				return nil, stanza.Fail("resource-constraint", fmt.Sprintf("a report names at most %d messages", maxReported)).WithType("modify")
			}
			r.Stanzas = append(r.Stanzas, StanzaID{c.Attr("by"), c.Attr("id")})
		case (c.Local == "report-origin" || c.Local == "third-party") && c.Space == ReportSpace:
			r.Forward = append(r.Forward, c.Local)
		}
	}
	return r, nil
}

func short(s string) string {
	if len(s) <= maxSaid {
		return s
	}
	s = s[:maxSaid]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// keepReports writes reports in the transaction that blocks.
func keepReports(tx *store.Tx, reporter jid.JID, reports []*Report, now time.Time) error {
	if len(reports) == 0 {
		return nil
	}
	var n int
	if err := tx.Row(sqlReportsSince, reporter.String(), now.Add(-reportWindow).UnixMicro()).Scan(&n); err != nil {
		return err
	}
	if n+len(reports) > reportsADay {
		return stanza.Fail("resource-constraint", "you have reported a great deal today; block without a report, or go on tomorrow").WithType("wait")
	}
	for _, r := range reports {
		ids, err := json.Marshal(r.Stanzas)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(sqlReportAdd, now.UnixMicro(), reporter.String(), r.Reported.String(), r.Reason, r.Text, r.Lang,
			string(ids), strings.Join(r.Forward, " ")); err != nil {
			return err
		}
	}
	return nil
}

// Reports are the newest n reports by accounts of a domain, newest first.
func (s *Store) Reports(ctx context.Context, domain string, n int) (out []Report, err error) {
	err = s.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(sqlReports, domain, n)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanReport(rows)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("block: reports: %w", err)
	}
	return out, nil
}

func scanReport(row store.RowScanner) (r Report, err error) {
	var at int64
	var by, of, ids, forward string
	if err = row.Scan(&r.ID, &at, &by, &of, &r.Reason, &r.Text, &r.Lang, &ids, &forward); err != nil {
		return r, err
	}
	r.At, r.Forward = time.UnixMicro(at).UTC(), strings.Fields(forward)
	if r.Reporter, err = jid.Parse(by); err != nil {
		return r, err
	}
	if r.Reported, err = jid.Parse(of); err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(ids), &r.Stanzas)
}

// DropReport forgets a report by an account of a domain that was dealt with; one of
// another domain stays (HARDENING I10).
func (s *Store) DropReport(ctx context.Context, domain string, id int64) error {
	err := s.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(sqlReportDrop, domain, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("block: drop report: %w", err)
	}
	return nil
}
