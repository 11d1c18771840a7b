package deliver

import (
	"slices"
	"strings"
	"testing"

	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// RFC 6120 §4.7.4, §8.1.5: a stanza without a language of its own has its stream's.
func TestAccept_languageOfTheStream(t *testing.T) {
	for _, c := range []struct{ doc, stream, want string }{
		{"<message to='b@x.test'><body>hi</body></message>", "de-CH", " xml:lang='de-CH'"},
		{"<presence ><status>hi</status></presence>", "de-CH", " xml:lang='de-CH'"},
		{"<iq type='get' id='1' to='b@x.test/1'><q xmlns='u'/></iq>", "de-CH", " xml:lang='de-CH'"},
		{"<message to='b@x.test' xml:lang='cs'><body>hi</body></message>", "de-CH", " xml:lang='cs'"},
		{"<message to='b@x.test' xml:lang=''><body>hi</body></message>", "de-CH", " xml:lang=''"},
		{"<message to='b@x.test'><body xml:lang='cs'>hi</body></message>", "de-CH", " xml:lang='de-CH'"},
		{"<message to='b@x.test'><body>hi</body></message>", "", ""},
		{"<message to='b@x.test' xml:lang='cs'><body>hi</body></message>", "", " xml:lang='cs'"},
	} {
		st, err := accept(scanRaw(t, c.doc), jid.MustParse("alice@x.test/desk"), c.stream)
		if err != nil {
			t.Fatal(err)
		}
		tag, _, _ := strings.Cut(string(st.AppendTo(nil)), ">")
		_, got, _ := strings.Cut(tag, " xml:lang=")
		if got != "" {
			got = " xml:lang=" + got[:strings.LastIndex(got, "'")+1]
		}
		if got != c.want {
			t.Errorf("%s on a stream in %q is sent on with %q, want %q", c.doc, c.stream, got, c.want)
		}
	}
}

// The language goes with the message: to whoever is there, to whoever comes
// later, and into the archive; a session taken up again speaks its new stream's.
func TestPath_languageIsRelayedAndArchived(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, session.DefaultLimits)
		a, b := w.bind("a@x.test/1"), w.bind("b@x.test/1")
		b.available()
		speak := func(lang string) {
			a.s.SetLanguage(lang)
			a.in = w.path.Open(a.s)
		}
		speak("de")
		a.say("b@x.test", "auf deutsch")
		a.say("c@x.test", "wartet")
		speak("fr")
		a.say("b@x.test", "en français")
		speak("")
		a.say("b@x.test", "?")
		b.until(3)
		c := w.bind("c@x.test/1")
		c.available()
		c.until(1)
		b.mu.Lock()
		frames := slices.Concat(b.all, c.all)
		b.mu.Unlock()
		check := func(where string, all []string) {
			t.Helper()
			for body, lang := range map[string]string{"auf deutsch": " xml:lang='de'", "en français": " xml:lang='fr'", "?": "", "wartet": " xml:lang='de'"} {
				i := slices.IndexFunc(all, func(s string) bool { return strings.Contains(s, "<body>"+body+"</body>") })
				if i < 0 {
					t.Errorf("%s: %q is missing", where, body)
					continue
				}
				if tag, _, _ := strings.Cut(all[i], ">"); !strings.Contains(tag, lang) || lang == "" && strings.Contains(tag, "xml:lang") {
					t.Errorf("%s: %s, want%s", where, all[i], lang)
				}
			}
		}
		check("received", frames)
		var kept []string
		page, err := w.arch.Read(t.Context(), archive.Query{Owner: jid.MustParse("a@x.test"), Max: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Messages {
			kept = append(kept, string(e.Stanza))
		}
		check("archived", kept)
	})
}
