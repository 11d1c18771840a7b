package c2s

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// tokens are the mechanisms of tokens offered on this connection.
func (n *negotiation) tokens() []string {
	if n.s.srv.conf.Devices == nil {
		return nil
	}
	return n.binding.TokenMechanisms()
}

// use reads what a client says of the token it logs in with (XEP-0484 §3.4, §3.6).
func (r *request) use() (sasl.Use, *sasl.Failure) {
	u := sasl.Use{Device: r.device.ID}
	if !slices.Contains(r.n.tokens(), r.n.mech) {
		return u, sasl.Fail(sasl.InvalidMechanism, "This mechanism is not offered here.")
	}
	if v, ok := r.fast.Lookup("count"); ok {
		c, err := strconv.ParseUint(v, 10, 31)
		if err != nil || c == 0 {
			return u, sasl.Fail(sasl.MalformedRequest, "The count of a token is a positive number (XEP-0484 §3.4).")
		}
		u.Count = int64(c)
	}
	v := r.fast.Attr("invalidate")
	u.Invalidate = v == "true" || v == "1"
	return u, nil
}

// token adds a new token to <success/>: one that was asked for, or one in place
// of the one that is used and has come of age (XEP-0484 §3.3, §3.5). Without it
// the client is in all the same.
func (r *request) token(ctx context.Context, who jid.JID, out []byte) []byte {
	mech := r.want
	if x, ok := r.n.exchange.(*sasl.TokenExchange); ok && mech == "" && x.Due() {
		mech = r.n.mech
	}
	if !slices.Contains(r.n.tokens(), mech) || r.device.ID == "" {
		return out
	}
	token, expires, err := r.n.s.srv.conf.Devices.Mint(ctx, who, r.device, mech, r.n.login)
	if err != nil {
		r.n.s.srv.conf.Log.Warn("a device got no token", "account", who.String(), "error", err)
		return out
	}
	el := elem.New(stream.FASTSpace, "token", "token", token, "expiry", expires.Format(time.RFC3339))
	return el.AppendTo(out, stream.Client)
}
