package transfer

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/archive"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// page is how many accounts or messages are read at a time.
const page = 200

// Export writes all accounts into dir, which must be empty or not there. Nobody
// but its owner can read the files (XEP-0227 §6).
func Export(ctx context.Context, src Source, dir string, o Options) (sum Sum, err error) {
	e := &exporter{ctx: ctx, src: src, o: o, dir: dir}
	if err := e.prepare(); err != nil {
		return sum, fmt.Errorf("transfer: export: %w", err)
	}
	if err := e.accounts(); err != nil {
		return e.sum, fmt.Errorf("transfer: export: %w", err)
	}
	if err := e.rooms(); err != nil {
		return e.sum, fmt.Errorf("transfer: export: rooms: %w", err)
	}
	return e.sum, nil
}

type exporter struct {
	ctx context.Context
	src Source
	o   Options
	dir string
	sum Sum
}

func (e *exporter) prepare() error {
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return err
	}
	if there, err := os.ReadDir(e.dir); err != nil || len(there) > 0 {
		return errors.Join(err, fmt.Errorf("%s is not empty", e.dir))
	}
	if e.o.Flat {
		return nil
	}
	if service, _ := e.src.Rooms(); !service.IsZero() {
		if err := os.Mkdir(filepath.Join(e.dir, service.String()), 0o700); err != nil {
			return err
		}
	}
	return os.Mkdir(filepath.Join(e.dir, e.src.Host().String()), 0o700)
}

// accounts writes the files of all accounts, and those that include them (XEP-0227 §5.1).
func (e *exporter) accounts() error {
	host := e.src.Host().String()
	if !e.o.Flat {
		main := open("server-data").attr("xmlns:xi", spaceInclude).end() + exported().String() + "\n" + include(host+".xml")
		if service, _ := e.src.Rooms(); !service.IsZero() {
			main += include(service.String() + ".xml")
		}
		main += "</server-data>\n"
		if err := e.file(mainFile, func(w *writer) { w.text(main) }); err != nil {
			return err
		}
	}
	list := func(w *writer) {
		w.text(open("host").attr("xmlns:xi", spaceInclude).attr("jid", host).end())
		e.each(w)
		w.text("</host>\n")
	}
	if e.o.Flat {
		w := &writer{}
		e.each(w)
		return w.err
	}
	return e.file(host+".xml", list)
}

// exported says of which kind the archive's ids are.
func exported() *elem.Element {
	return elem.New(SpaceExport, "export", "version", "1", "positions", "true")
}

// each writes every account's file and what includes it.
func (e *exporter) each(w *writer) {
	for after := ""; w.err == nil; {
		list, err := e.src.Accounts(e.ctx, after, page)
		if err != nil || len(list) == 0 {
			w.fail(err)
			return
		}
		for i := range list {
			after = list[i].JID.String()
			if list[i].JID.Domain() != e.src.Host().Domain() {
				continue
			}
			name, err := e.account(&list[i])
			if err != nil {
				w.fail(fmt.Errorf("%s: %w", list[i].JID, err))
				return
			}
			if !e.o.Flat {
				w.text(include(name))
			}
			e.sum.Accounts++
			e.o.tell(e.sum)
		}
	}
}

// account writes one account's file and returns its name.
func (e *exporter) account(a *account.Account) (name string, err error) {
	host := e.src.Host().String()
	name = host + "/" + fileName(a.JID.Local()) + ".xml"
	if e.o.Flat {
		name = fileName(a.JID.Local()) + "@" + host + ".xml"
	}
	return name, e.file(name, func(w *writer) {
		if e.o.Flat {
			w.text(open("server-data").end() + "<host" + string(elem.AppendAttr(nil, "jid", host)) + "><user" +
				string(elem.AppendAttr(nil, "name", a.JID.Local())) + ">\n")
			w.element(exported()) // prosody looks for host and user as first children
		} else {
			w.text(open("user").attr("name", a.JID.Local()).end())
		}
		e.user(w, a)
		w.text("</user>")
		if e.o.Flat {
			w.text("</host></server-data>")
		}
		w.text("\n")
	})
}

// user writes what is an account's.
func (e *exporter) user(w *writer, a *account.Account) {
	about := elem.New(SpaceExport, "account", "created", strconv.FormatInt(a.Created.UnixMicro(), 10))
	if a.Name != "" {
		about.Set("name", a.Name)
	}
	for name, is := range map[string]bool{"admin": a.Admin, "disabled": a.Disabled} {
		if is {
			about.Set(name, "true")
		}
	}
	keys, err := e.src.Keys(e.ctx, a.JID)
	w.fail(err)
	for _, h := range slices.Sorted(maps.Keys(keys)) {
		w.element(credentials(h, keys[h]))
	}
	w.element(about)
	e.roster(w, a.JID)
	parts, err := e.src.Parts(e.ctx, a.JID)
	w.fail(err)
	for _, p := range parts {
		w.element(p)
	}
	e.nodes(w, a.JID)
	e.waiting(w, a.JID)
	e.archive(w, a.JID)
}

// credentials is XEP-0227 §4.3.
func credentials(h sasl.Hash, k sasl.Keys) *elem.Element {
	text := func(name, v string) *elem.Element { return elem.New(spaceSCRAM, name).SetText(v) }
	b64 := base64.StdEncoding.EncodeToString
	return elem.New(spaceSCRAM, "scram-credentials", "mechanism", "SCRAM-"+string(h)).Add(
		text("iter-count", strconv.Itoa(k.Iterations)), text("salt", b64(k.Salt)),
		text("server-key", b64(k.ServerKey)), text("stored-key", b64(k.StoredKey)))
}

// roster is XEP-0227 §4.4, and the requests of §4.9.
func (e *exporter) roster(w *writer, owner jid.JID) {
	items, pending, err := e.src.Roster(e.ctx, owner)
	w.fail(err)
	query := elem.New(spaceRoster, "query")
	for i := range items {
		query.Add(items[i].Element())
	}
	e.sum.Contacts += len(items)
	w.element(query)
	for i := range pending {
		w.text(string(declared(pending[i].Stanza)) + "\n")
	}
}

// waiting is XEP-0227 §4.5; an id says which message of the archive it is.
func (e *exporter) waiting(w *writer, owner jid.JID) {
	first := true
	e.pages(w, func(after session.Pos) ([]archive.Kept, error) { return e.src.Waiting(e.ctx, owner, after, page) }, func(k *archive.Kept) {
		if first {
			w.text("<offline-messages>\n")
			first = false
		}
		more := elem.New(spaceDelay, "delay", "from", owner.Domain(), "stamp", stamp(k)).AppendTo(nil, spaceClient)
		more = elem.New(spaceSID, "stanza-id", "by", owner.String(), "id", k.Pos.String()).AppendTo(more, spaceClient)
		w.text(string(k.AppendIn(nil, more)) + "\n")
		e.sum.Waiting++
	})
	if !first {
		w.text("</offline-messages>\n")
	}
}

// archive is XEP-0227 §4.11, oldest first.
func (e *exporter) archive(w *writer, owner jid.JID) {
	w.text("<archive" + string(elem.AppendAttr(nil, "xmlns", spaceMAM)) + ">\n")
	e.pages(w, func(after session.Pos) ([]archive.Kept, error) { return e.src.Archive(e.ctx, owner, after, page) }, func(k *archive.Kept) {
		w.text(string(append(result(k), "</forwarded></result>\n"...)))
		e.sum.Messages++
	})
	w.text("</archive>\n")
}

// pages walks through messages a page at a time.
func (e *exporter) pages(w *writer, read func(after session.Pos) ([]archive.Kept, error), each func(*archive.Kept)) {
	for after := session.Pos(0); w.err == nil; {
		list, err := read(after)
		w.fail(err)
		for i := range list {
			after = list[i].Pos
			if list[i].Damaged() {
				e.sum.leave("unreadable records")
				continue
			}
			each(&list[i])
		}
		if len(list) < page {
			return
		}
	}
}

func stamp(k *archive.Kept) string { return archive.Stamp(k.At) }

// declared is a stored stanza with its namespace said: in a file none is in force.
func declared(stanza []byte) []byte {
	i := slices.IndexFunc(stanza, func(r byte) bool { return r == ' ' || r == '>' || r == '/' })
	if i < 0 {
		return stanza
	}
	return slices.Concat(stanza[:i], []byte(" xmlns='"+spaceClient+"'"), stanza[i:])
}

// fileName is a local part as a file's name: long ones are cut, what could mean
// something to a file system is escaped (XEP-0227 §5.1).
func fileName(local string) string {
	name := url.PathEscape(local)
	name = strings.NewReplacer("~", "%7E", ":", "%3A", "*", "%2A", "'", "%27").Replace(name)
	if len(name) > 150 {
		sum := sha256.Sum256([]byte(local))
		name = name[:100] + hex.EncodeToString(sum[:16])
	}
	return cmp.Or(strings.TrimLeft(name, "."), "dot") + strings.Repeat("_", len(name)-len(strings.TrimLeft(name, ".")))
}

// include is an XInclude of a file beside this one.
func include(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return "<xi:include" + string(elem.AppendAttr(nil, "href", strings.Join(parts, "/"))) + "/>\n"
}

// tag is a root element being written.
type tag []byte

func open(name string) tag {
	return tag("<?xml version='1.0' encoding='UTF-8'?>\n<" + name + " xmlns='" + space + "'")
}
func (t tag) attr(name, value string) tag { return elem.AppendAttr(t, name, value) }
func (t tag) end() string                 { return string(t) + ">\n" }

// writer keeps the first error.
type writer struct {
	w   *bufio.Writer
	err error
}

func (w *writer) fail(err error) { w.err = cmp.Or(w.err, err) }

func (w *writer) text(s string) {
	if w.err == nil && w.w != nil {
		_, w.err = w.w.WriteString(s)
	}
}

func (w *writer) element(e *elem.Element) { w.text(string(e.AppendTo(nil, space)) + "\n") }

// file writes one file.
func (e *exporter) file(name string, f func(*writer)) error {
	out, err := os.OpenFile(filepath.Join(e.dir, filepath.FromSlash(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w := &writer{w: bufio.NewWriterSize(out, 64<<10)}
	f(w)
	if err := e.ctx.Err(); err != nil {
		w.fail(err)
	}
	return errors.Join(w.err, w.w.Flush(), out.Close())
}
