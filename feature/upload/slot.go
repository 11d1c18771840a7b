package upload

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/file"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// slot answers XEP-0363 §4: a request for a place to upload to.
func (u *upload) slot(ctx context.Context, q *im.IQ) (*elem.Element, error) {
	// HARDENING S5: nobody else's people, no services.
	if q.Session == nil || q.From.DomainJID() != q.To {
		return nil, stanza.Fail("forbidden", "uploads are for accounts of this host")
	}
	r, err := u.request(q)
	if err != nil {
		return nil, err
	}
	g, err := u.Files.Grant(ctx, r)
	if err != nil {
		return nil, refusal(err)
	}
	base := u.Base(q.To.Domain())
	return elem.New(space, "slot").Add(
		elem.New(space, "put", "url", address(base, "upload", g.Put, g.Name)),
		elem.New(space, "get", "url", address(base, "file", g.ID, g.Name))), nil
}

// address is a URL of ours; XEP-0363 §4: what is not ASCII is percent-encoded.
func address(base, kind, secret, name string) string {
	return base + "/" + kind + "/" + secret + "/" + url.PathEscape(name)
}

// request reads the payload.
func (u *upload) request(q *im.IQ) (r file.Request, err error) {
	p := q.Payload
	r = file.Request{Owner: q.From.Bare(), Name: p.Attr("filename"), Purpose: file.ForMessage}
	if r.Name == "" {
		return r, stanza.Fail("bad-request", "a file has a name")
	}
	if r.Size, err = strconv.ParseInt(p.Attr("size"), 10, 64); err != nil || r.Size < 1 { // §12: a positive integer
		return r, stanza.Fail("bad-request", "the size must be a number of bytes, at least one")
	}
	if media, given := p.Lookup("content-type"); given && media != "" {
		var ok bool
		if r.Media, ok = file.Media(media); !ok {
			return r, stanza.Fail("bad-request", "the content-type is not a media type")
		}
	}
	return r, u.purpose(p, &r)
}

// purpose reads XEP-0363 §5: what the file is for.
func (u *upload) purpose(p *elem.Element, r *file.Request) error {
	for _, c := range p.Children {
		if c.Space != spacePurpose {
			continue
		}
		r.Purpose = file.Purpose(c.Local)
		if !slices.Contains(u.purposes(), r.Purpose) {
			return stanza.Fail("feature-not-implemented", "files are not kept here for that purpose")
		}
		if r.Purpose == file.ForEphemeral {
			until, err := time.Parse(time.RFC3339, c.Attr("expire-before")) // XEP-0082 §2
			if err != nil || !until.After(u.Now()) {
				return stanza.Fail("bad-request", "expire-before must be a time to come")
			}
			r.Until = until
		}
		return nil
	}
	return nil
}

// refusal makes a stanza error of im/file's (XEP-0363 §6).
func refusal(err error) error {
	if large, ok := errors.AsType[*file.TooLargeError](err); ok {
		n := strconv.FormatInt(large.Max, 10)
		e := stanza.Fail("not-acceptable", "The file is too large. The most is "+n+" bytes.")
		e.App = elem.New(space, "file-too-large").Add(elem.New(space, "max-file-size").SetText(n))
		return e
	}
	if quota, ok := errors.AsType[*file.QuotaError](err); ok {
		e := stanza.Fail("resource-constraint", quota.Text)
		if quota.Retry.IsZero() {
			return e.WithType("cancel")
		}
		e.App = elem.New(space, "retry", "stamp", quota.Retry.UTC().Format("2006-01-02T15:04:05Z"))
		return e
	}
	if errors.Is(err, file.ErrFull) {
		return stanza.Fail("resource-constraint", "there is no room for more; please try again later")
	}
	return err
}
