package attack

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// A5: who logs in is who opens the session, whatever else is written beside.
func TestA5_otherIdentities(t *testing.T) {
	t.Parallel()
	p := target(t)
	me, victim := p.person(t), p.person(t)
	token := p.browser(t).login(t, me, server.Password)
	others := []string{
		victim, bare(victim), strings.ToUpper(bare(victim)), bare(victim) + "/x", bare(me) + "/x", "admin@" + server.Domain, "admin", server.Domain,
		"/" + bare(me), bare(me) + "\x00", me + "@other.test", bare(me) + "@x", "ｐ" + bare(victim)[1:], // a full-width letter, mapped by PRECIS
		bare(victim)[:1] + "\u00ad" + bare(victim)[1:], " " + bare(me), bare(me) + " ", "\u202e" + bare(me),
	}
	quote := strings.NewReplacer("=", "=3D", ",", "=2C")
	refused := 0
	for _, other := range others {
		for mech, first := range map[string]string{
			"PLAIN":         other + "\x00" + me + "\x00" + server.Password,
			"SCRAM-SHA-256": "n,a=" + quote.Replace(other) + ",n=" + me + ",r=" + client.Token(),
			"SCRAM-SHA-1":   "y,a=" + quote.Replace(other) + ",n=" + me + ",r=" + client.Token(),
			"OAUTHBEARER":   "n,a=" + quote.Replace(other) + ",\x01auth=Bearer " + token + "\x01\x01",
		} {
			c := p.at(t, secured, "")
			n, err := c.SASL("auth", mech, first)
			if err != nil {
				t.Fatalf("%s as %q: %v", mech, other, err)
			}
			if n.Name.Local == "challenge" && strings.HasPrefix(mech, "SCRAM") {
				n = finishSCRAM(t, c, mech, first, n)
			} else if n.Name.Local == "challenge" {
				if n, err = c.SASL("response", "", "\x01"); err != nil {
					t.Fatal(err)
				}
			}
			if n.Name.Local != "failure" {
				t.Errorf("%s for %s with authzid %q: %s", mech, me, other, n)
			} else {
				refused++
			}
			_ = c.Close()
		}
	}
	t.Logf("%d logins for others refused", refused)
	for _, other := range others {
		w := p.websocket(t)
		w.text(t, wsOpen)
		w.until(t, "</stream:features>")
		w.text(t, plainAuth(other, me, server.Password))
		w.until(t, "<failure")
		_ = w.Close()
		// HTTPS has one name, which is whose password it must be.
		in, err := json.Marshal(map[string]string{"user": other, "password": "not " + server.Password})
		if err != nil {
			t.Fatal(err)
		}
		if status, text := p.browser(t).call(t, "POST", "/api/v1/session", string(in)); status != http.StatusUnauthorized {
			t.Errorf("web login as %q: %d %s", other, status, text)
		}
	}
	p.ownIdentities(t, me, token)
}

// finishSCRAM answers the challenge with a right proof: what is refused is the identity.
func finishSCRAM(t testing.TB, c *client.Conn, mech, first string, challenge *client.Node) *client.Node {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(challenge.Text)
	if err != nil {
		t.Fatal(err)
	}
	final, err := scramFinal(mech, first, string(text), server.Password)
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.SASL("response", "", final)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ownIdentities are ways to write oneself; all of them open the same account.
func (p *place) ownIdentities(t *testing.T, me, token string) {
	wide := strings.Replace(me, "p", "ｐ", 1)
	for _, first := range []struct{ mech, data string }{
		{"PLAIN", "\x00" + me + "\x00" + server.Password},
		{"PLAIN", bare(me) + "\x00" + me + "\x00" + server.Password},
		{"PLAIN", strings.ToUpper(bare(me)) + "\x00" + strings.ToUpper(me) + "\x00" + server.Password},
		{"PLAIN", "\x00" + bare(me) + "\x00" + server.Password},
		{"PLAIN", "\x00" + wide + "\x00" + server.Password},
		{"OAUTHBEARER", "n,,\x01auth=Bearer " + token + "\x01\x01"},
		{"OAUTHBEARER", "n,a=" + bare(me) + ",\x01auth=Bearer " + token + "\x01\x01"},
	} {
		c := p.at(t, secured, "")
		n, err := c.SASL("auth", first.mech, first.data)
		if err != nil || n.Name.Local != "success" {
			t.Errorf("%s %q: %v %v", first.mech, first.data, n, err)
			continue
		}
		if err := c.OpenStream(); err != nil {
			t.Fatal(err)
		}
		if full, err := c.Bind("own"); err != nil || full != bare(me)+"/own" {
			t.Errorf("%s %q opened %q, %v", first.mech, first.data, full, err)
		}
		_ = c.Close()
	}
}

// A6: from outside, an account that does not exist looks like one that does,
// and one that is disabled like one whose password was wrong.
func TestA6_userEnumeration(t *testing.T) {
	t.Parallel()
	p := target(t)
	each := scaled(12, 333)
	kinds := []string{"existing", "missing", "disabled"}
	names := map[string][]string{}
	for i := range each {
		disabled := p.person(t)
		if err := p.user("", "disable", disabled); err != nil {
			t.Fatal(err)
		}
		names["existing"] = append(names["existing"], p.person(t))
		names["disabled"] = append(names["disabled"], disabled)
		names["missing"] = append(names["missing"], fmt.Sprintf("persin%03d", i))
	}
	for _, mech := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-1"} {
		answers, took := map[string]map[string]bool{}, map[string][]time.Duration{}
		for round := range 2 { // more would be guessing (A8)
			for i := range each {
				for _, kind := range kinds { // in turn, so that the machine's mood hits all alike
					shape, d := p.guess(t, mech, names[kind][i])
					if answers[kind] == nil {
						answers[kind] = map[string]bool{}
					}
					answers[kind][shape] = true
					if round > 0 {
						took[kind] = append(took[kind], d)
					}
				}
			}
		}
		if len(answers["existing"]) != 1 {
			t.Errorf("%s: answers differ: %v", mech, answers["existing"])
		}
		for _, kind := range kinds {
			slices.Sort(took[kind])
		}
		// The fastest of many is what other work on the machine disturbs least.
		best := func(kind string) time.Duration { return took[kind][0] }
		for _, kind := range kinds[1:] {
			if fmt.Sprint(answers[kind]) != fmt.Sprint(answers["existing"]) {
				t.Errorf("%s: %s answers %v, existing %v", mech, kind, answers[kind], answers["existing"])
			}
			// 5 % or 0.2 ms, times ten for a machine that does other things too.
			if d := (best(kind) - best("existing")).Abs(); d > max(best("existing")/2, 2*time.Millisecond) {
				t.Errorf("%s: %s takes %v, existing %v", mech, kind, best(kind), best("existing"))
			}
		}
		t.Logf("%s: existing %v, missing %v, disabled %v", mech, best("existing"), best("missing"), best("disabled"))
	}
	p.webEnumeration(t, names)
	// A made-up salt is the same tomorrow, and another one for another name.
	s1, s2, s3 := p.salt(t, names["missing"][0]), p.salt(t, strings.ToUpper(names["missing"][0])), p.salt(t, names["missing"][1])
	if s1 != s2 || s1 == s3 {
		t.Errorf("made-up salts: %q, %q again, %q for another", s1, s2, s3)
	}
	p.askedAbout(t, names)
}

// askedAbout: what is asked about others tells no more than their absence (RFC 6121 §8.5.1).
func (p *place) askedAbout(t *testing.T, names map[string][]string) {
	a := p.login(t, p.person(t), "a")
	for _, q := range []struct{ typ, payload string }{
		{"get", "<ping xmlns='urn:xmpp:ping'/>"},
		{"get", "<vCard xmlns='vcard-temp'/>"},
		{"set", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>"},
		{"get", "<query xmlns='http://jabber.org/protocol/disco#info'/>"},
		{"get", "<query xmlns='http://jabber.org/protocol/disco#items'/>"},
		{"get", "<query xmlns='jabber:iq:last'/>"},
		{"set", "<query xmlns='" + mam + "'/>"},
	} {
		shapes := map[string]string{}
		for kind, of := range names {
			n, err := a.IQ(patience, q.typ, bare(of[0]), q.payload)
			if err != nil {
				t.Fatal(err)
			}
			shapes[kind] = n.Get("type") + " " + canon(n, nil)
		}
		for kind, shape := range shapes {
			if shape != shapes["existing"] {
				t.Errorf("%s %s: %s answers %s, existing %s", q.typ, q.payload, kind, shape, shapes["existing"])
			}
		}
	}
}

// webEnumeration compares the HTTPS login's answers, byte by byte, and its times. Hashing
// is for half of the processors, and the whole catalogue wants it at the same time: more is measured until
// the fastest of each kind was held up by nobody, within what one address may guess (A8). A
// real difference stays.
func (p *place) webEnumeration(t *testing.T, names map[string][]string) {
	kinds := []string{"existing", "missing", "disabled"}
	web, best := map[string]string{}, map[string]time.Duration{}
	b := map[string]*browser{}
	odd := func() (kind string) {
		for _, k := range kinds[1:] {
			if d := (best[k] - best["existing"]).Abs(); d > max(best["existing"]/2, 2*time.Millisecond) {
				kind = k
			}
		}
		return kind
	}
	for round := 0; round < 6 || round < 40 && odd() != ""; round++ {
		for _, kind := range kinds {
			if b[kind] == nil {
				b[kind] = p.browser(t)
			}
			of := names[kind]
			began := time.Now()
			status, text := b[kind].call(t, "POST", "/api/v1/session", `{"user":"`+of[round%len(of)]+`","password":"wrong password"}`)
			took := time.Since(began)
			if round == 1 || round > 1 && took < best[kind] { // the first makes the connection
				best[kind] = took
			}
			if answer := strconv.Itoa(status) + text; web[kind] == "" {
				web[kind] = answer
			} else if web[kind] != answer {
				t.Errorf("web login: %s answers %s, then %s", kind, web[kind], answer)
			}
		}
	}
	for kind, shape := range web {
		if shape != web["existing"] {
			t.Errorf("web login: %s answers %s, existing %s", kind, shape, web["existing"])
		}
	}
	if kind := odd(); kind != "" {
		t.Errorf("web login: %s takes %v, existing %v", kind, best[kind], best["existing"])
	}
	t.Logf("web login: existing %v, missing %v, disabled %v", best["existing"], best["missing"], best["disabled"])
}

// guess logs in with a wrong password; it returns the server's answers without
// what is random in them, and how long the last one took.
func (p *place) guess(t testing.TB, mech, user string) (shape string, d time.Duration) {
	t.Helper()
	c := p.at(t, secured, "")
	defer c.Close()
	began := time.Now()
	if mech == "PLAIN" {
		n, err := c.SASL("auth", mech, "\x00"+user+"\x00wrong password")
		if err != nil {
			t.Fatal(err)
		}
		return n.String(), time.Since(began)
	}
	first := "n,,n=" + user + ",r=" + client.Token()
	n, err := c.SASL("auth", mech, first)
	if err != nil {
		t.Fatal(err)
	}
	d = time.Since(began)
	text, err := base64.StdEncoding.DecodeString(n.Text)
	if err != nil || n.Name.Local != "challenge" {
		t.Fatalf("%s for %s: %s %v", mech, user, n, err)
	}
	f := scramFields(string(text))
	shape = fmt.Sprintf("nonce %d, salt %d, i=%s", len(f["r"]), len(f["s"]), f["i"])
	final, err := scramFinal(mech, first, string(text), "wrong password")
	if err != nil {
		t.Fatal(err)
	}
	if n, err = c.SASL("response", "", final); err != nil {
		t.Fatal(err)
	}
	return shape + " " + n.String(), d
}

// salt is what SCRAM-SHA-256 tells about a name.
func (p *place) salt(t testing.TB, user string) string {
	t.Helper()
	c := p.at(t, secured, "")
	defer c.Close()
	n, err := c.SASL("auth", "SCRAM-SHA-256", "n,,n="+user+",r="+client.Token())
	if err != nil {
		t.Fatal(err)
	}
	text, err := base64.StdEncoding.DecodeString(n.Text)
	if err != nil {
		t.Fatal(err)
	}
	return scramFields(string(text))["s"]
}

// A7: on disk and in the log there is no password, no token, nothing one could
// log in with; SCRAM keys have 10,000 rounds at least.
func TestA7_storedSecrets(t *testing.T) {
	t.Parallel()
	p := apart(t, 10)
	stop := canary(t, p)
	defer stop()
	pass := "Very-Secret-" + client.Token()
	if err := p.user(pass+"\n", "add", "keeper", stdinFlag); err != nil {
		t.Fatal(err)
	}
	b := p.browser(t)
	token := b.login(t, "keeper", pass)
	c := p.at(t, secured, "")
	if n, err := c.SASL("auth", "PLAIN", "\x00keeper\x00"+pass); err != nil || n.Name.Local != "success" {
		t.Fatalf("%v %v", n, err)
	}
	if n, err := p.at(t, secured, "").SASL("auth", "OAUTHBEARER", "n,,\x01auth=Bearer "+token+"\x01\x01"); err != nil || n.Name.Local != "success" {
		t.Fatalf("%v %v", n, err)
	}
	smID := p.login(t, "keeper", "sm", func(o *client.Options) { o.Pass, o.SM = pass, true }).SMID
	secrets := map[string]string{"password": pass, "token": token, "cookie": b.cookie.Value, "resumption id": smID}
	files := 0
	err := filepath.WalkDir(filepath.Join(p.Dir, "data"), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 && !strings.HasSuffix(path, ".pem") {
			t.Errorf("%s can be read by others: %v", d.Name(), info.Mode())
		}
		for what, s := range secrets {
			forms := []string{s, base64.StdEncoding.EncodeToString([]byte(s)), hex.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s))}
			if raw, err := base64.RawURLEncoding.DecodeString(s); err == nil {
				forms = append(forms, string(raw))
			}
			for i, f := range forms {
				if bytes.Contains(data, []byte(f)) {
					t.Errorf("the %s stands in %s (form %d)", what, d.Name(), i)
				}
			}
		}
		return nil
	})
	if err != nil || files < 2 {
		t.Fatalf("%d files looked at: %v", files, err)
	}
	for what, s := range secrets {
		if strings.Contains(p.Output(), s) {
			t.Errorf("the %s stands in the log", what)
		}
	}
	for _, mech := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256"} {
		n, err := p.at(t, secured, "").SASL("auth", mech, "n,,n=keeper,r="+client.Token())
		if err != nil {
			t.Fatal(err)
		}
		text, err := base64.StdEncoding.DecodeString(n.Text)
		if err != nil {
			t.Fatal(err)
		}
		f := scramFields(string(text))
		salt, err := base64.StdEncoding.DecodeString(f["s"])
		if i, _ := strconv.Atoi(f["i"]); err != nil || i < 10000 || len(salt) < 16 {
			t.Errorf("%s: %s rounds, %d bytes of salt, %v", mech, f["i"], len(salt), err)
		}
	}
}

const stdinFlag = "--password-stdin"

// A9: many logins by password at once hold up nobody else.
func TestA9_loginCPU(t *testing.T) {
	t.Parallel()
	people, times := scaled(50, 500), scaled(8, 2)
	p := apart(t, people+10)
	stop := canary(t, p)
	cpu, began := p.cpu(t), time.Now()
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for range people {
		o := p.options(p.person(t), "")
		o.Mechanism, o.Addr, o.DirectTLS = "PLAIN", p.C2STLS, true
		wg.Go(func() {
			for range times {
				c, err := client.Authenticated(ctx, o)
				if err != nil {
					t.Errorf("login of %s: %v", o.User, err)
					return
				}
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	wall, used := time.Since(began), p.cpu(t)-cpu
	stop()
	t.Logf("%d logins in %v, %v of CPU: %.0f %% of one core", people*times, wall.Round(time.Millisecond), used, 100*float64(used)/float64(wall))
	// Half of the cores hash; handshakes and all else get a quarter here.
	if cores := max(1, 0.75*float64(runtime.NumCPU())); float64(used) > cores*float64(wall) {
		t.Errorf("%v of CPU in %v: passwords take more than half of %d cores", used, wall, runtime.NumCPU())
	}
}

// cpu is the server's time on processors, in the kernel's ticks of 10 ms.
func (p *place) cpu(t testing.TB) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err1 := strconv.Atoi(f[11])
	sys, err2 := strconv.Atoi(f[12])
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return time.Duration(user+sys) * 10 * time.Millisecond
}
