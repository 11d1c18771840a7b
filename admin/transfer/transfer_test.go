package transfer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/pubsub"
	"github.com/parlance-im/parlance/im/room"
	"github.com/parlance-im/parlance/im/roster"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// world is a data set in memory, as little of it as is looked at.
type world struct {
	Source // what is not used is nil

	mu       sync.Mutex
	accounts []account.Restored
	rosters  map[jid.JID][]roster.Item
	parts    []string
	pieces   []string
	rooms    []string
	kept     []deliver.Restored
	mostKept int // messages of one call
	count    int
	check    func(deliver.Restored)
}

func (w *world) Host() jid.JID { return jid.MustParse("a.test") }
func (w *world) AddAccount(_ context.Context, r account.Restored) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.JID.Local() == "refused" {
		return false, &account.Refused{Why: "no"}
	}
	w.accounts = append(w.accounts, r)
	return r.JID.Local() != "there", nil
}
func (w *world) SetRoster(_ context.Context, who jid.JID, items []roster.Item, _ []roster.Waiting) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rosters == nil {
		w.rosters = map[jid.JID][]roster.Item{}
	}
	w.rosters[who] = items
	return nil
}
func (w *world) SetPart(_ context.Context, who jid.JID, e *elem.Element) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parts = append(w.parts, who.Local()+" "+e.Local)
	return e.Local == "vCard", nil
}
func (w *world) SetNodes(_ context.Context, who jid.JID, pieces []pubsub.Piece, fresh map[string]bool) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range pieces {
		fresh[p.Node] = true
		w.pieces = append(w.pieces, strings.Join([]string{who.Local(), p.Node, p.Part.Local, p.Part.Attr("id")}, " "))
	}
	return nil, nil
}
func (w *world) DeriveNodes(_ context.Context, who jid.JID, fresh map[string]bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pieces = append(w.pieces, fmt.Sprint(who.Local(), " derived ", len(fresh)))
	return nil
}
func (w *world) Rooms() (jid.JID, string) { return jid.MustParse("rooms.a.test"), "" }
func (w *world) SetSecret(_ context.Context, s string) error {
	w.rooms = append(w.rooms, "secret "+s)
	return nil
}
func (w *world) AddRoom(_ context.Context, at jid.JID, e *elem.Element) (bool, error) {
	w.rooms = append(w.rooms, fmt.Sprint(at, " ", len(e.Children)))
	return true, nil
}
func (w *world) Keep(_ context.Context, list []deliver.Restored) error {
	w.mostKept = max(w.mostKept, len(list))
	w.count += len(list)
	if w.check != nil {
		for _, r := range list {
			w.check(r)
		}
		return nil
	}
	w.kept = append(w.kept, slices.Clone(list)...)
	return nil
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, dir string, o Options) (*world, Sum) {
	t.Helper()
	w := &world{}
	o.Scratch = t.TempDir()
	sum, err := Import(t.Context(), w, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(o.Scratch); err != nil || len(left) != 0 {
		t.Errorf("left on disk: %v %v", left, err)
	}
	return w, sum
}

// archived is a copy of a message in somebody's archive.
func archived(id, stamp, from, to, body string) string {
	return "<result xmlns='urn:xmpp:mam:2' id='" + id + "'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='" + stamp +
		"'/><message xmlns='jabber:client' from='" + from + "' to='" + to + "' type='chat'><body>" + body + "</body></message></forwarded></result>"
}

func user(name, inside string) string {
	return "<server-data xmlns='urn:xmpp:pie:0'><host jid='a.test'><user name='" + name + "'>" + inside + "</user></host></server-data>"
}

func mam(results ...string) string {
	return "<archive xmlns='urn:xmpp:pie:0#mam'>" + strings.Join(results, "") + "</archive>"
}

// said are the kept messages as "body owners", in order.
func (w *world) said() (out []string) {
	for _, r := range w.kept {
		line := strings.TrimSuffix(strings.TrimPrefix(string(r.Stanza.Content), "<body>"), "</body>")
		owners := []string{}
		for _, o := range r.Owners {
			owners = append(owners, o.Local())
		}
		slices.Sort(owners)
		if line += " " + strings.Join(owners, "+"); !r.Waiting.IsZero() {
			line += " waits for " + r.Waiting.Local()
		}
		out = append(out, line)
	}
	return out
}

// XEP-0227 §4.11: two accounts' copies become one record; within a second, which
// is all that some exports tell, each owner's order holds.
func TestImport_archivesBecomeOne(t *testing.T) {
	dir := t.TempDir()
	s := func(n int) string { return fmt.Sprintf("2026-11-25T08:00:%02dZ", n) }
	write(t, dir, "a.xml", user("alice", mam(archived("x1", s(1), "alice@a.test/1", "bob@a.test", "one"), archived("x2", s(1), "bob@a.test/2", "alice@a.test", "two"),
		archived("x3", s(1), "alice@a.test/1", "bob@a.test", "five"), archived("x4", s(9), "alice@a.test/1", "far@b.test", "far"),
		archived("x5", s(20), "alice@a.test/1", "bob@a.test", "again"), archived("x6", s(20), "alice@a.test/1", "bob@a.test", "again"))))
	write(t, dir, "b.xml", user("bob", "<offline-messages><message xmlns='jabber:client' from='alice@a.test/1' to='bob@a.test' type='chat'><body>five</body>"+
		"<delay xmlns='urn:xmpp:delay' from='a.test' stamp='"+s(1)+"'/></message></offline-messages>"+
		mam(archived("y1", s(2), "alice@a.test/1", "bob@a.test", "one"), archived("y2", s(1), "bob@a.test/2", "alice@a.test", "two"),
			archived("y3", s(1), "bob@a.test/2", "carol@a.test", "four"), archived("y4", s(1), "alice@a.test/1", "bob@a.test", "five"),
			archived("y5", s(21), "alice@a.test/1", "bob@a.test", "again"), archived("y6", s(21), "alice@a.test/1", "bob@a.test", "again"))))
	for _, memory := range []int{1, 1 << 20} { // a run for each message, one run for all
		w, sum := load(t, dir, Options{Memory: memory})
		want := []string{"one alice+bob", "two alice+bob", "four bob", "five alice+bob waits for bob", "far alice", "again alice+bob", "again alice+bob"}
		if got := w.said(); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if sum.Messages != 7 || sum.Waiting != 1 || sum.Accounts != 2 || len(sum.Left) != 1 {
			t.Errorf("%+v", sum)
		}
	}
}

// XEP-0227 §4: what is taken, what is left out and told of (XEP-0227 §4, last part).
func TestImport_accounts(t *testing.T) {
	dir := t.TempDir()
	key := "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-%s'><iter-count>4096</iter-count><salt>QQ==</salt><server-key>%s</server-key><stored-key>QQ==</stored-key></scram-credentials>"
	write(t, dir, "all.xml", "<?xml version='1.0'?><!-- x --><server-data xmlns='urn:xmpp:pie:0' xmlns:q='jabber:iq:roster'><new xmlns='u:x'/><host jid='a.test'>"+
		"<user name='alice' password='pw'><q:query><q:item jid='bob@a.test' name='B&amp;b' subscription='both'><q:group>G</q:group></q:item><q:item jid='@@'/></q:query>"+
		"<vCard xmlns='vcard-temp'><FN>A</FN></vCard><query xmlns='jabber:iq:private'/></user>"+
		"<user name='bob'>"+fmt.Sprintf(key, "SHA-1", "Qg==")+fmt.Sprintf(key, "SHA3-512", "Qg==")+fmt.Sprintf(key, "SHA-256", "%%")+"</user>"+
		"<user name='there'/><user name='refused'/><user name='a b'/><user/></host><host jid='b.test'><user name='carol'/></host></server-data>")
	w, sum := load(t, dir, Options{})
	slices.SortFunc(w.accounts, func(a, b account.Restored) int { return strings.Compare(a.JID.String(), b.JID.String()) })
	if len(w.accounts) != 3 || w.accounts[0].Password != "pw" || w.accounts[1].Keys[sasl.SHA1].Iterations != 4096 || len(w.accounts[1].Keys) != 1 {
		t.Errorf("%+v", w.accounts)
	}
	items := w.rosters[jid.MustParse("alice@a.test")]
	if len(items) != 1 || items[0].Name != "B&b" || items[0].Subscription != "both" || !slices.Equal(items[0].Groups, []string{"G"}) {
		t.Errorf("%+v", items)
	}
	if sum.Accounts != 3 || sum.There != 1 || !slices.Equal(w.parts, []string{"alice vCard", "alice query"}) {
		t.Errorf("%+v %v", sum, w.parts)
	}
	for _, what := range []string{"new", "host b.test", "contacts whose addresses can't be used", "<query/> of jabber:iq:private", "keys of SCRAM-SHA3-512",
		"keys of SCRAM-SHA-256", "account refused@a.test: no", "accounts whose names can't be used", "passwords (set new ones)"} {
		if sum.Left[what] == 0 {
			t.Errorf("nothing is told of %q: %v", what, sum.Left)
		}
	}
}

// XEP-0227 §5, HARDENING X1: only whole files within the folder are included; no document types.
func TestImport_hostileFiles(t *testing.T) {
	head := "<server-data xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'>"
	for name, text := range map[string]string{
		"another folder's":  head + "<xi:include href='../secret.xml'/></server-data>",
		"an absolute one":   head + "<xi:include href='/etc/passwd'/></server-data>",
		"an address":        head + "<xi:include href='http://b.test/x.xml'/></server-data>",
		"as text":           head + "<xi:include href='x.xml' parse='text'/></server-data>",
		"itself":            head + "<host jid='a.test'><xi:include href='server-data.xml'/></host></server-data>",
		"not there":         head + "<xi:include href='x.xml'/></server-data>",
		"a document type":   "<!DOCTYPE x [<!ENTITY e 'x'>]>" + head + "</server-data>",
		"an entity":         head + "&e;</server-data>",
		"an end that lacks": head + "<host jid='a.test'>",
		"no element":        " ",
		"endless": head + "<host jid='a.test'><user name='a'><vCard xmlns='vcard-temp'><FN>" + strings.Repeat("x", maxUnit+10) +
			"</FN></vCard></user></host></server-data>",
	} {
		dir := t.TempDir()
		write(t, dir, "secret.xml", "<host xmlns='urn:xmpp:pie:0' jid='a.test'><user name='leak'/></host>")
		write(t, dir, "in/server-data.xml", text)
		w := &world{}
		_, err := Import(t.Context(), w, filepath.Join(dir, "in"), Options{Scratch: dir})
		if name == "itself" {
			// It is no <user/>: nothing comes of it.
			if err != nil || len(w.accounts) != 0 {
				t.Errorf("%s: %v %v", name, err, w.accounts)
			}
			continue
		}
		if err == nil || len(w.accounts) != 0 {
			t.Errorf("%s: accepted: %v", name, w.accounts)
		}
	}
}

func TestImport_foldersWithoutExports(t *testing.T) {
	dir := t.TempDir()
	if _, err := Import(t.Context(), &world{}, dir, Options{Scratch: dir}); err == nil {
		t.Error("an empty folder is imported")
	}
	if _, err := Import(t.Context(), &world{}, filepath.Join(dir, "x"), Options{Scratch: dir}); err == nil {
		t.Error("a folder that is not there is imported")
	}
	write(t, dir, "a.xml", user("alice", "<export xmlns='"+SpaceExport+"' positions='true'/>"+mam(archived("1", "2026-11-25T08:00:00Z", "a@b.test", "alice@a.test", "x"))))
	write(t, dir, "b.xml", user("bob", mam(archived("1", "2026-11-25T08:00:00Z", "a@b.test", "bob@a.test", "x"))))
	if _, err := Import(t.Context(), &world{}, dir, Options{Scratch: dir}); err == nil {
		t.Error("files of two servers are taken for one's")
	}
}

// readMessage leaves what was said as it was said, and takes out what its server has added.
func TestReadMessage_table(t *testing.T) {
	owner := jid.MustParse("alice@a.test")
	for _, c := range []struct{ in, want string }{
		{"<message xmlns='jabber:client' from='b@b.test/1' to='alice@a.test'><body>x</body></message>",
			"<message from='b@b.test/1' to='alice@a.test'><body>x</body></message>"},
		{"<message xmlns='jabber:client' from='b@b.test/1' id='i' type='chat'>a<b xmlns='u:b'>m<c/>n</b>z<p:q p:r='&lt;'/></message>",
			"<message from='b@b.test/1' to='alice@a.test' id='i' type='chat' xmlns:p='u:p'>a<b xmlns='u:b'>m<c/>n</b>z<p:q p:r='&lt;'/></message>"},
		{"<message xmlns='jabber:client' from='b@b.test' type='chat'><stanza-id xmlns='urn:xmpp:sid:0' by='alice@a.test' id='7'/>" +
			"<stanza-id xmlns='urn:xmpp:sid:0' by='b@b.test' id='8'/><delay xmlns='urn:xmpp:delay' from='a.test' stamp='s'/><delay xmlns='urn:xmpp:delay' stamp='own'/></message>",
			"<message from='b@b.test' to='alice@a.test' type='chat'><stanza-id xmlns='urn:xmpp:sid:0' by='b@b.test' id='8'/><delay xmlns='urn:xmpp:delay' stamp='own'/></message>"},
		{"<message xmlns='jabber:client' from='@@'/>", ""},
		{"<message xmlns='jabber:client'/>", ""},
		{"<iq xmlns='jabber:client' from='b@b.test' type='get' id='1'><q xmlns='u:q'/></iq>", ""},
		{"<message xmlns='u:other' from='b@b.test'/>", ""},
		{"<message xmlns='jabber:client' from='b@b.test'><u:x/></message>", ""},
		{"<message xmlns='jabber:client' from='b@b.test'/><x/>", ""},
	} {
		p, err := readMessage(&unit{raw: []byte(c.in), decls: []elem.Decl{{Prefix: []byte("p"), Space: []byte("u:p")}}}, owner)
		if (err == nil) != (c.want != "") {
			t.Errorf("%s: %v", c.in, err)
		} else if err == nil && string(p.st.AppendTo(nil)) != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.in, p.st.AppendTo(nil), c.want)
		}
	}
}

// Runs and one sort in memory give the same order.
func TestSorter_runsAreOneOrder(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	s := sorter{dir: t.TempDir(), memory: 4000}
	const n = 3000
	for i := range n {
		if err := s.add(&item{key: int64(r.IntN(500)), at: int64(i), owner: "o", text: []byte(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.runs) < 20 {
		t.Errorf("%d runs", len(s.runs))
	}
	var last *item
	got := 0
	err := s.each(func(i *item) error {
		if last != nil && last.compare(i) >= 0 || string(i.text) != fmt.Sprint(i.at) {
			t.Fatalf("seed %d: %+v after %+v", seed, i, last)
		}
		last, got = i, got+1
		return nil
	})
	if err != nil || got != n {
		t.Errorf("seed %d: %d %v", seed, got, err)
	}
}

// big is a source of many messages that holds none of them.
type big struct {
	world
	accounts, each int
}

func (b *big) Accounts(_ context.Context, after string, n int) (out []account.Account, err error) {
	for i := range b.accounts {
		j := jid.MustParse(fmt.Sprintf("u%06d@a.test", i))
		if j.String() > after && len(out) < n {
			out = append(out, account.Account{JID: j, Created: time.Unix(1, 0)})
		}
	}
	return out, nil
}
func (b *big) Keys(context.Context, jid.JID) (map[sasl.Hash]sasl.Keys, error) { return nil, nil }
func (b *big) Roster(context.Context, jid.JID) ([]roster.Item, []roster.Waiting, error) {
	return nil, nil, nil
}
func (b *big) Parts(context.Context, jid.JID) ([]*elem.Element, error) { return nil, nil }
func (b *big) Waiting(context.Context, jid.JID, session.Pos, int) ([]archive.Kept, error) {
	return nil, nil
}

// Archive: everybody talks with one neighbour, so that each message is in two archives.
func (b *big) Archive(_ context.Context, owner jid.JID, after session.Pos, n int) (out []archive.Kept, err error) {
	var me int
	if _, err := fmt.Sscanf(owner.Local(), "u%d", &me); err != nil {
		return nil, err
	}
	pair := me / 2
	for k := range b.each {
		pos := session.Pos(1 + k*b.accounts + pair)
		if pos <= after {
			continue
		}
		if len(out) == n {
			break
		}
		out = append(out, archive.Kept{Pos: pos, At: time.UnixMicro(int64(pos)), Stanza: fmt.Appendf(nil,
			"<message from='u%06d@a.test/x' to='u%06d@a.test' type='chat'><body>%s</body></message>", pair*2, pair*2+1, strings.Repeat("word ", 40))})
	}
	return out, nil
}

// Memory does not grow with the size: 40,000 copies of 300 bytes are carried through 1 MiB.
func TestTransfer_memoryIsBounded(t *testing.T) {
	src := &big{accounts: 200, each: 200}
	dir, scratch := filepath.Join(t.TempDir(), "out"), t.TempDir()
	sum, err := Export(t.Context(), src, dir, Options{})
	if err != nil || sum.Messages != 40000 {
		t.Fatalf("%+v %v", sum, err)
	}
	var base, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&base)
	most, last := uint64(0), session.Pos(0)
	w := &world{}
	w.check = func(r deliver.Restored) {
		if r.Had <= last || len(r.Owners) != 2 {
			t.Fatalf("%d after %d, %v", r.Had, last, r.Owners)
		}
		if last = r.Had; w.count%4096 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	sum, err = Import(t.Context(), w, dir, Options{Scratch: scratch, Memory: 1 << 20})
	if err != nil || sum.Messages != 20000 || w.mostKept > together {
		t.Fatalf("%+v %v, %d at once", sum, err, w.mostKept)
	}
	if grown := int64(most) - int64(base.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap grew by %d KiB", grown>>10)
	}
}

func TestExport_refusesAFolderWithFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "mine.txt", "x")
	if _, err := Export(t.Context(), &big{}, dir, Options{}); err == nil {
		t.Error("it is written over")
	}
}

// Names that mean something to a file system mean nothing here.
func TestFileName_table(t *testing.T) {
	seen := map[string]string{}
	for _, local := range []string{"alice", "a.b", ".", "..", ".hidden", "zoë", "a%2fb", "~root", strings.Repeat("ä", 500), strings.Repeat("ä", 500) + "x", "con"} {
		n := fileName(local)
		if n == "" || n[0] == '.' || len(n) > 200 || strings.ContainsAny(n, "/\\~:") {
			t.Errorf("%.20q: %q", local, n)
		}
		if other, ok := seen[n]; ok {
			t.Errorf("%q and %q are both %q", local, other, n)
		}
		seen[n] = local
	}
}

func (b *big) Nodes(context.Context, jid.JID) (*pubsub.Root, pubsub.Limits, error) {
	return &pubsub.Root{}, pubsub.Limits{}, nil
}
func (b *big) Items(context.Context, *pubsub.Node, pubsub.Query) (p pubsub.Page, err error) {
	return p, nil
}
func (b *big) SaveRooms(context.Context, string, int) ([]room.Saved, error) { return nil, nil }
