package invite

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

//go:embed page
var page embed.FS

// landing shows what an invitation is (XEP-0379 §3.3), to somebody who may not have a
// client yet. It has no script and no cookie: whoever has the address may see it.
type landing struct {
	c    Config
	tmpl *template.Template
	css  []byte
}

// view is what the page says; URI is empty for an invitation that is none.
type view struct {
	Place, Domain          string
	From, Inviter, Name    string
	Account, Contact       bool
	URI                    template.URL // xmpp: is no address for html/template
	Text, Until, UntilText string
}

func (c Config) routes() []im.HTTPRoute {
	l := landing{c: c, tmpl: template.Must(template.ParseFS(page, "page/page.html"))}
	l.css, _ = page.ReadFile("page/page.css") // embedded: it is there
	return []im.HTTPRoute{
		{Pattern: "GET /invite/{token}", Handler: http.HandlerFunc(l.show)},
		{Pattern: "GET /invite/-/page.css", Handler: http.HandlerFunc(l.style)},
	}
}

func (l landing) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write(l.css)
}

func (l landing) show(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	i, err := l.c.Invites.Find(r.Context(), token)
	domain := l.c.host(i)
	v, status := view{Place: l.c.Place(domain), Domain: domain}, http.StatusOK
	switch {
	case errors.Is(err, account.ErrNoToken):
		status = http.StatusNotFound
	case err != nil:
		http.Error(w, "This can't be looked up just now. Try again in a moment.", http.StatusServiceUnavailable)
		return
	default:
		uri := l.c.link(i, token)
		v.URI, v.Text = template.URL(uri), uri
		v.Inviter, v.Name, v.Account, v.Contact = i.Inviter.String(), i.Name, i.Account, i.Contact
		if !i.Inviter.IsZero() {
			v.From = i.Inviter.Local()
		}
		v.Until, v.UntilText = i.Expires.UTC().Format(time.RFC3339), i.Expires.UTC().Format("2 January 2006, 15:04 UTC")
	}
	var b bytes.Buffer
	if err := l.tmpl.Execute(&b, v); err != nil {
		http.Error(w, "The page can't be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// host is where an invitation is to: to its giver's own.
func (c Config) host(i account.Invite) string {
	if i.Inviter.IsZero() {
		return c.Domain
	}
	return i.Inviter.Domain()
}

// link is the address of an invitation (XEP-0401 §5.1, §5.4).
func (c Config) link(i account.Invite, token string) string {
	switch {
	case i.Account && i.Name != "":
		if who, err := jid.New(i.Name, c.host(i), ""); err == nil {
			return address(who) + "?register;preauth=" + token
		}
	case i.Contact && i.Account:
		return address(i.Inviter) + "?roster;preauth=" + token + ";ibr=y"
	case i.Contact:
		return address(i.Inviter) + "?roster;preauth=" + token
	}
	return "xmpp:" + c.host(i) + "?register;preauth=" + token
}

// landing is where the page of an invitation is; "" if the server has no such port.
func (c Config) landing(domain, token string) string {
	if c.Base == nil {
		return ""
	}
	return c.Base(domain) + "/invite/" + token
}
