package block

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

func reporting(t *testing.T, s *Store, items string) error {
	t.Helper()
	payload, err := elem.Parse([]byte("<block xmlns='urn:xmpp:blocking'>" + items + "</block>"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = handlers{s, &shown{}}.block(t.Context(), &im.IQ{Type: stanza.Set, From: alice, To: alice, Payload: payload})
	return err
}

// XEP-0377 §4 and §6: kept with the block or not at all, within bounds.
func TestReport_keptWithTheBlock(t *testing.T) {
	run(t, 1000, func(t *testing.T, f *fix) {
		report := func(reason, inside string) string {
			return "<item jid='x@evil.test'><report xmlns='urn:xmpp:reporting:1' reason='" + reason + "'>" + inside + "</report></item>"
		}
		for items, want := range map[string]string{
			report("", ""):                       "bad-request",
			report(strings.Repeat("r", 201), ""): "bad-request",
			report("urn:xmpp:reporting:spam", strings.Repeat("<stanza-id xmlns='urn:xmpp:sid:0' by='a@b' id='1'/>", 51)): "resource-constraint",
		} {
			var se *stanza.Error
			if err := reporting(t, f.Store, items); !errors.As(err, &se) || se.Condition != want {
				t.Errorf("%.80s: %v, want %s", items, err, want)
			}
		}
		if list, err := f.List(t.Context(), alice); err != nil || len(list) != 0 {
			t.Errorf("blocked: %v %v", list, err)
		}
		err := reporting(t, f.Store, report("urn:xmpp:reporting:abuse",
			"<text xml:lang='de'> "+strings.Repeat("ä", 1500)+" </text><text xml:lang='en'>x</text><report-origin/><third-party/>"+
				"<stanza-id xmlns='urn:xmpp:sid:0' by='alice@acme.test' id='7'/>")+"<item jid='y@evil.test'/>")
		if err != nil {
			t.Fatal(err)
		}
		all, err := f.Reports(t.Context(), "acme.test", 10)
		if err != nil || len(all) != 1 {
			t.Fatalf("%v %v", all, err)
		}
		r := all[0]
		if r.Reporter != alice || r.Reported != jid.MustParse("x@evil.test") || r.Reason != "urn:xmpp:reporting:abuse" || r.Lang != "de" ||
			r.Text != strings.Repeat("ä", 1000) || !slices.Equal(r.Stanzas, []StanzaID{{"alice@acme.test", "7"}}) ||
			!slices.Equal(r.Forward, []string{"report-origin", "third-party"}) {
			t.Errorf("%+v", r)
		}
		// HARDENING I10: not another domain's, nor one that only ends like it.
		for _, domain := range []string{"other.test", "test", "cme.test"} {
			if all, err := f.Reports(t.Context(), domain, 10); err != nil || len(all) != 0 {
				t.Errorf("%s: %v %v", domain, all, err)
			}
		}
		if list, err := f.List(t.Context(), alice); err != nil || len(list) != 2 {
			t.Errorf("blocked: %v %v", list, err)
		}
		for _, domain := range []string{"other.test", "test", "cme.test"} {
			if err := f.DropReport(t.Context(), domain, r.ID); err != nil {
				t.Fatal(err)
			}
		}
		if all, err := f.Reports(t.Context(), "acme.test", 10); err != nil || len(all) != 1 {
			t.Errorf("another domain's administrator dropped it: %v %v", all, err)
		}
		if err := f.DropReport(t.Context(), "acme.test", r.ID); err != nil {
			t.Fatal(err)
		}
		if all, err := f.Reports(t.Context(), "acme.test", 10); err != nil || len(all) != 0 {
			t.Errorf("%v %v", all, err)
		}
	})
}

func TestReport_soManyADay(t *testing.T) {
	run(t, 1000, func(t *testing.T, f *fix) {
		for i := range reportsADay {
			if err := reporting(t, f.Store, fmt.Sprintf("<item jid='x%d@evil.test'><report xmlns='urn:xmpp:reporting:1' reason='r'/></item>", i)); err != nil {
				t.Fatal(err)
			}
		}
		var se *stanza.Error
		if err := reporting(t, f.Store, "<item jid='last@evil.test'><report xmlns='urn:xmpp:reporting:1' reason='r'/></item>"); !errors.As(err, &se) || se.Type != "wait" {
			t.Errorf("one more: %v", err)
		}
		if err := reporting(t, f.Store, "<item jid='last@evil.test'/>"); err != nil {
			t.Errorf("without a report: %v", err)
		}
	})
}
