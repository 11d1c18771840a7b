package sasl

import (
	"context"

	"github.com/parlance-im/parlance/xmpp/jid"
)

// traceMost is how long RFC 4505 §2 lets trace data be, in bytes of UTF-8.
const traceMost = 4 * 255

// anonymous lets a guest in (RFC 4505, XEP-0175). What the client says of itself
// is thrown away.
type anonymous struct {
	conf  Config
	creds Credentials
	who   jid.JID
	end   bool
}

func (x *anonymous) JID() jid.JID { return x.who }

func (x *anonymous) Next(ctx context.Context, response []byte) ([]byte, bool, error) {
	switch {
	case x.end:
		return nil, false, Fail(MalformedRequest, "The exchange is over.")
	case response == nil:
		return []byte{}, false, nil
	}
	x.end = true
	if len(response) > traceMost {
		return nil, false, Fail(MalformedRequest, "Too much trace data.")
	}
	who, err := x.creds.Guest(ctx, x.conf.host())
	if err != nil {
		return nil, false, failure(err)
	}
	x.who = who
	return nil, true, nil
}
