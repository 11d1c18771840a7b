package transfer

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parlance-im/parlance/xmpp/elem"
)

// level is where in a document an element stands.
type level uint8

const (
	top      level = iota // <server-data/> is expected
	inServer              // <host/>
	inHost                // <user/>
	inUser                // what is a user's
)

// unit is an element as it was written, with what is in force around it.
type unit struct {
	name  xml.Name
	raw   []byte // good until the handler returns
	space string // the default namespace outside
	decls []elem.Decl
}

// element makes a tree of it.
func (u *unit) element() (*elem.Element, error) { return elem.ParseIn(u.raw, u.space, u.decls) }

// handler takes what a reader finds, in the order of the files.
type handler interface {
	document()
	export(positions bool)
	host(jid string) error
	user(name, password string) error
	part(u *unit) error
	// message is archived under an id at a time, or waits (stamp and id empty).
	message(u *unit, id, stamp string, waits bool) error
	endUser() error
	// piece is part of an account's node.
	piece(node string, u *unit) error
	// room begins a room, roomPart is what is in it.
	room(name, created string) error
	roomPart(u *unit) error
	endRoom() error
	secret(text string) error
	said(u *unit, id, stamp, sender string) error
	unknown(what string)
}

// reader walks through documents and those they include (XEP-0227 §5).
type reader struct {
	root *os.Root
	h    handler
	deep int
}

// maxIncludes bounds includes within includes: the layout of XEP-0227 §5.1 has two.
const maxIncludes = 8

// document is one file being read.
type document struct {
	name  string
	dec   *xml.Decoder
	tape  *tape
	decls [][]xml.Attr // declarations of the open elements
}

// readFolder reads the main file of a folder, or every whole document in it.
func readFolder(dir string, h handler) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	r := &reader{root: root, h: h}
	if _, err := root.Stat(mainFile); err == nil {
		return r.file(mainFile, top)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil || len(names) == 0 {
		return errors.Join(err, fmt.Errorf("%s has no %s and no other .xml files", dir, mainFile))
	}
	slices.Sort(names)
	for _, n := range names {
		if err := r.file(filepath.Base(n), top); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) file(name string, at level) (err error) {
	if r.deep == maxIncludes {
		return fmt.Errorf("%s: files include each other without end", name)
	}
	r.deep++
	defer func() { r.deep-- }()
	f, err := r.root.Open(filepath.FromSlash(name)) // nothing outside the folder, whatever an include says
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d := &document{name: name, tape: newTape(f)}
	d.dec = xml.NewDecoder(d.tape)
	if err := r.document(d, at); err != nil {
		return fmt.Errorf("%s, byte %d: %w", name, d.dec.InputOffset(), err)
	}
	return nil
}

func (r *reader) document(d *document, at level) error {
	st, err := d.start()
	if err != nil {
		return err
	}
	if st == nil {
		return errors.New("no element in it")
	}
	if at == top && !is(st, space, "server-data") {
		r.h.unknown("files that are no <server-data/>") // one that another file includes, perhaps
		return nil
	}
	if at == top {
		r.h.document()
	}
	return r.element(d, st, at)
}

// start is the next start tag; nil at the end of the element, or of the file.
func (d *document) start() (*xml.StartElement, error) {
	for {
		d.tape.cut(d.dec.InputOffset())
		tok, err := d.dec.Token()
		switch {
		case err == io.EOF:
			return nil, nil
		case err != nil:
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			return &tok, nil
		case xml.EndElement:
			return nil, nil
		case xml.Directive:
			return nil, errors.New("a document type has no place here") // HARDENING X1
		}
	}
}

func is(st *xml.StartElement, space, local string) bool {
	return st.Name.Space == space && st.Name.Local == local
}

func attr(st *xml.StartElement, local string) string {
	for _, a := range st.Attr {
		if a.Name.Local == local && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// children calls f for each element inside one whose start tag was read.
func (d *document) children(st *xml.StartElement, f func(*xml.StartElement) error) error {
	d.decls = append(d.decls, st.Attr)
	defer func() { d.decls = d.decls[:len(d.decls)-1] }()
	for {
		kid, err := d.start()
		if err != nil || kid == nil {
			return err
		}
		if err := f(kid); err != nil {
			return err
		}
	}
}

// element reads one element and what is in it.
func (r *reader) element(d *document, st *xml.StartElement, at level) error {
	if is(st, spaceInclude, "include") {
		return r.include(d, st, at)
	}
	if is(st, SpaceExport, "export") {
		r.h.export(attr(st, "positions") == "true")
		return d.dec.Skip()
	}
	if at == inHost && st.Name.Space == SpaceExport {
		return r.inService(d, st)
	}
	wanted := [...]string{top: "server-data", inServer: "host", inHost: "user"}
	if at == inUser {
		return r.inUser(d, st)
	}
	if !is(st, space, wanted[at]) {
		r.h.unknown(st.Name.Local)
		return d.dec.Skip()
	}
	switch at {
	case inServer:
		if err := r.h.host(attr(st, "jid")); err != nil {
			return err
		}
	case inHost:
		if err := r.h.user(attr(st, "name"), attr(st, "password")); err != nil {
			return err
		}
	}
	err := d.children(st, func(kid *xml.StartElement) error { return r.element(d, kid, at+1) })
	if at == inHost && err == nil {
		err = r.h.endUser()
	}
	return err
}

// include is XEP-0227 §5: a relative reference to a whole file.
func (r *reader) include(d *document, st *xml.StartElement, at level) error {
	href, err := url.Parse(attr(st, "href"))
	if err != nil || href.IsAbs() || href.Host != "" || href.Path == "" || strings.HasPrefix(href.Path, "/") ||
		attr(st, "parse") != "" || attr(st, "xpointer") != "" {
		return fmt.Errorf("include %q: only whole files beside this one can be included", attr(st, "href"))
	}
	if err := d.dec.Skip(); err != nil {
		return err
	}
	return r.file(path.Join(path.Dir(d.name), href.Path), at)
}

// inUser reads a child of a <user/>.
func (r *reader) inUser(d *document, st *xml.StartElement) error {
	switch {
	case is(st, spaceMAM, "archive"):
		return d.children(st, func(kid *xml.StartElement) error { return r.result(d, kid, false) })
	case is(st, spaceOwner, "pubsub"): // XEP-0227 §4.10.1
		return d.children(st, func(kid *xml.StartElement) error {
			node := attr(kid, "node")
			return d.unit(kid, func(u *unit) error { return r.h.piece(node, u) })
		})
	case is(st, spaceNode, "pubsub"): // XEP-0227 §4.10.2
		return d.children(st, func(kid *xml.StartElement) error {
			if !is(kid, spaceNode, "items") {
				r.h.unknown(kid.Name.Local)
				return d.dec.Skip()
			}
			node := attr(kid, "node")
			return d.children(kid, func(item *xml.StartElement) error {
				return d.unit(item, func(u *unit) error { return r.h.piece(node, u) })
			})
		})
	case is(st, space, "offline-messages"):
		return d.children(st, func(kid *xml.StartElement) error {
			if !is(kid, spaceClient, "message") {
				r.h.unknown(kid.Name.Local)
				return d.dec.Skip()
			}
			return d.unit(kid, func(u *unit) error { return r.h.message(u, "", "", true) })
		})
	}
	return d.unit(st, r.h.part)
}

// result is XEP-0313 §4.2: a message with its time, under its id.
func (r *reader) result(d *document, st *xml.StartElement, ofRoom bool) error {
	if !is(st, spaceResult, "result") {
		r.h.unknown(st.Name.Local)
		return d.dec.Skip()
	}
	id, stamp, sender := attr(st, "id"), "", ""
	return d.children(st, func(f *xml.StartElement) error {
		if is(f, SpaceExport, "sender") {
			sender = attr(f, "jid")
		}
		if !is(f, spaceForward, "forwarded") {
			return d.dec.Skip()
		}
		return d.children(f, func(kid *xml.StartElement) error {
			switch {
			case is(kid, spaceDelay, "delay"):
				stamp = attr(kid, "stamp")
			case is(kid, spaceClient, "message"):
				return d.unit(kid, func(u *unit) error {
					if ofRoom {
						return r.h.said(u, id, stamp, sender)
					}
					return r.h.message(u, id, stamp, false)
				})
			}
			return d.dec.Skip()
		})
	})
}

// inService reads a child of a <host/> that is a rooms' service.
func (r *reader) inService(d *document, st *xml.StartElement) error {
	switch st.Name.Local {
	case "rooms":
		text := attr(st, "secret")
		if err := d.dec.Skip(); err != nil {
			return err
		}
		return r.h.secret(text)
	case "room":
		if err := r.h.room(attr(st, "name"), attr(st, "created")); err != nil {
			return err
		}
		err := d.children(st, func(kid *xml.StartElement) error {
			if is(kid, spaceMAM, "archive") {
				return d.children(kid, func(one *xml.StartElement) error { return r.result(d, one, true) })
			}
			return d.unit(kid, r.h.roomPart)
		})
		if err != nil {
			return err
		}
		return r.h.endRoom()
	}
	r.h.unknown(st.Name.Local)
	return d.dec.Skip()
}

// unit takes an element whose start tag was read as it is written.
func (d *document) unit(st *xml.StartElement, f func(*unit) error) error {
	u := unit{name: st.Name}
	if err := d.dec.Skip(); err != nil {
		return err
	}
	u.raw = d.tape.upto(d.dec.InputOffset())
	for _, attrs := range d.decls {
		for _, a := range attrs {
			switch {
			case a.Name.Space == "xmlns":
				u.decls = slices.DeleteFunc(u.decls, func(x elem.Decl) bool { return string(x.Prefix) == a.Name.Local })
				u.decls = append(u.decls, elem.Decl{Prefix: []byte(a.Name.Local), Space: []byte(a.Value)})
			case a.Name.Space == "" && a.Name.Local == "xmlns":
				u.space = a.Value
			}
		}
	}
	return f(&u)
}
