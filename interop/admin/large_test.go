package admin

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/server"
)

// largeEnv is how many accounts the large import has; ten messages for each.
const largeEnv = "PARLANCE_TRANSFER_ACCOUNTS"

// crowd writes an export of n accounts in pairs, who wrote ten messages each, have
// a node with two items, and met in a room for every hundred of them.
func crowd(t *testing.T, dir string, n int) {
	t.Helper()
	write := func(name string, f func(w *bufio.Writer)) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriter(file)
		f(w)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	const pie = "xmlns='urn:xmpp:pie:0'"
	const own = "https://parlance.im/protocol/export"
	at := func(pos int) string {
		return time.Date(2026, 1, 1, 0, 0, pos, 0, time.UTC).Format("2006-01-02T15:04:05.000000Z")
	}
	result := func(w *bufio.Writer, pos int, more, message string) {
		fmt.Fprintf(w, "<result xmlns='urn:xmpp:mam:2' id='%d'>%s<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='%s'/>%s</forwarded></result>\n", pos, more, at(pos), message)
	}
	write("server-data.xml", func(w *bufio.Writer) {
		fmt.Fprintf(w, "<server-data %s xmlns:xi='http://www.w3.org/2001/XInclude'><export xmlns='%s' positions='true'/><xi:include href='acme.test.xml'/><xi:include href='conference.acme.test.xml'/></server-data>", pie, own)
	})
	write("acme.test.xml", func(w *bufio.Writer) {
		fmt.Fprintf(w, "<host %s xmlns:xi='http://www.w3.org/2001/XInclude' jid='acme.test'>\n", pie)
		for i := range n {
			fmt.Fprintf(w, "<xi:include href='acme.test/u%06d.xml'/>\n", i)
		}
		fmt.Fprint(w, "</host>")
	})
	for i := range n {
		write(fmt.Sprintf("acme.test/u%06d.xml", i), func(w *bufio.Writer) {
			me, peer := fmt.Sprintf("u%06d@acme.test", i), fmt.Sprintf("u%06d@acme.test", i^1)
			fmt.Fprintf(w, "<user %s name='u%06d'><scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-256'><iter-count>4096</iter-count><salt>W22ZaJ0SNY7soEsUEjb6gQ==</salt>"+
				"<server-key>wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=</server-key><stored-key>WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=</stored-key></scram-credentials>\n", pie, i)
			fmt.Fprintf(w, "<query xmlns='jabber:iq:roster'><item jid='%s' subscription='both'/></query>\n<query xmlns='jabber:iq:private'><n xmlns='u:n'>%d</n></query>\n", peer, i)
			fmt.Fprintf(w, "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='urn:n'><x xmlns='jabber:x:data' type='submit'><field var='pubsub#max_items'><value>5</value></field></x></configure></pubsub>"+
				"<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:n'><item id='a'><v xmlns='urn:v'/></item><item id='b'><v xmlns='urn:v'>%d</v></item></items></pubsub>\n", i)
			fmt.Fprint(w, "<archive xmlns='urn:xmpp:pie:0#mam'>\n")
			for k := range 20 { // ten of its own and ten of its peer's
				from, to := me, peer
				if k%2 != i%2 {
					from, to = peer, me
				}
				pos := 1 + k*(n/2+1) + i/2
				result(w, pos, "", fmt.Sprintf("<message xmlns='jabber:client' from='%s/x' to='%s' type='chat'><body>message %d of %d &amp; more</body></message>", from, to, k, i/2))
			}
			fmt.Fprint(w, "</archive></user>")
		})
	}
	rooms := (n + 99) / 100
	write("conference.acme.test.xml", func(w *bufio.Writer) {
		fmt.Fprintf(w, "<host %s xmlns:xi='http://www.w3.org/2001/XInclude' jid='conference.acme.test'><rooms xmlns='%s' secret='MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY='/>\n", pie, own)
		for r := range rooms {
			fmt.Fprintf(w, "<xi:include href='conference.acme.test/r%d.xml'/>\n", r)
		}
		fmt.Fprint(w, "</host>")
	})
	for r := range rooms {
		write(fmt.Sprintf("conference.acme.test/r%d.xml", r), func(w *bufio.Writer) {
			fmt.Fprintf(w, "<room xmlns='%s' name='r%d' created='1767225600000000'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_persistentroom'><value>1</value></field></x>"+
				"<query xmlns='http://jabber.org/protocol/muc#admin'><item jid='u000000@acme.test' affiliation='owner'/></query><archive xmlns='urn:xmpp:pie:0#mam'>\n", own, r)
			for k := range 10 {
				pos := 100 + 20*(n/2+1) + k*(rooms+1) + r
				result(w, pos, "<sender xmlns='"+own+"' jid='u000000@acme.test/x'/>", fmt.Sprintf("<message xmlns='jabber:client' from='r%d@conference.acme.test/U' type='groupchat'><body>%d</body></message>", r, k))
			}
			fmt.Fprint(w, "</archive></room>")
		})
	}
}

// timed runs a command and says what it cost.
func timed(t *testing.T, args ...string) {
	t.Helper()
	bin, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("parlance %v: %v\n%s", args, err, out)
	}
	u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	t.Logf("%s: %d MiB at most, %v of CPU\n%s", args[0], u.Maxrss>>10, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Round(10*time.Millisecond), out)
	if limit := int64(400 << 10); u.Maxrss > limit {
		t.Errorf("%s took %d KiB", args[0], u.Maxrss)
	}
}

// An import that was killed in the middle can be repeated; what comes out is what
// went in, on SQLite and from there on PostgreSQL, with bounded memory.
func TestTransfer_brokenOffAndRepeated(t *testing.T) {
	n := 100
	if text := os.Getenv(largeEnv); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	in, data, scratch := filepath.Join(dir, "in"), filepath.Join(dir, "data"), filepath.Join(dir, "scratch")
	crowd(t, in, n)
	if err := os.Mkdir(scratch, 0o700); err != nil {
		t.Fatal(err)
	}
	killed(t, scratch, "import", in, "--data", data, "--domain", "acme.test", "--scratch", scratch)
	timed(t, "import", in, "--data", data, "--domain", "acme.test", "--scratch", scratch)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	timed(t, "export", a, "--data", data, "--domain", "acme.test")
	// Another server, another engine.
	pg, err := server.NewPostgres()
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Remove()
	conf := filepath.Join(dir, "pg.toml")
	text := fmt.Sprintf("domain = \"acme.test\"\ndata = %q\n[storage]\ndsn = %q\n", filepath.Join(dir, "pgdata"), pg.DSN(""))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	timed(t, "import", a, "--config", conf)
	timed(t, "export", b, "--config", conf)
	same(t, a, b)
	// And as it was: ids, times and texts of the archives of the first account and room.
	for _, f := range []string{"acme.test/u000000.xml", "conference.acme.test/r0.xml"} {
		was, is := results(t, filepath.Join(in, f)), results(t, filepath.Join(b, f))
		if len(was) == 0 || fmt.Sprint(was) != fmt.Sprint(is) {
			t.Errorf("%s: %d results were %d, %q was %q", f, len(is), len(was), is, was)
		}
	}
}

// killed runs an import and kills it when its sorting has begun.
func killed(t *testing.T, scratch string, args ...string) {
	t.Helper()
	bin, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-over:
			t.Logf("it was over before it could be killed: %v", err)
			return
		case <-look.C:
		}
		if runs, _ := filepath.Glob(filepath.Join(scratch, "import-*", "run-*")); len(runs) > 0 {
			_ = cmd.Process.Kill()
			<-over
			if err := os.RemoveAll(scratch); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(scratch, 0o700); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
}

// results are the lines of a file that are archived messages, without who said them and quotes.
func results(t *testing.T, path string) (out []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if m := archivedLine.FindStringSubmatch(s.Text()); m != nil {
			out = append(out, m[1]+" "+m[2]+" "+m[3])
		}
	}
	return out
}

var archivedLine = regexp.MustCompile(`<result xmlns='urn:xmpp:mam:2' id='(\d+)'>.* stamp='([^']+)'.*<body>(.*)</body>`)
