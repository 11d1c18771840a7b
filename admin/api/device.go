package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// device is a device on the wire.
type device struct {
	ID       string    `json:"id"`
	Software string    `json:"software,omitempty"`
	Name     string    `json:"name,omitempty"`
	Created  time.Time `json:"created"`
	Used     time.Time `json:"used,omitzero"`
	Expires  time.Time `json:"expires"`
}

func (s *Server) devices(w http.ResponseWriter, r *http.Request) error {
	who, err := target(r)
	if err != nil {
		return err
	}
	if _, err := s.Accounts.Get(r.Context(), who); err != nil {
		return err
	}
	list, err := s.Accounts.Devices.List(r.Context(), who)
	if err != nil {
		return err
	}
	out := make([]device, 0, len(list))
	for _, k := range list {
		out = append(out, device{k.ID, k.Software, k.Name, k.Created, k.Used, k.Expires})
	}
	answer(w, http.StatusOK, out)
	return nil
}

func (s *Server) revokeDevice(w http.ResponseWriter, r *http.Request) error {
	who, err := target(r)
	if err != nil {
		return err
	}
	id := r.PathValue("device")
	if err := s.Accounts.Devices.Revoke(r.Context(), who, id); err != nil {
		return err
	}
	s.log().Info("admin: device revoked", "account", who.String(), "device", id)
	answer(w, http.StatusOK, struct{}{})
	return nil
}

// Devices is account.Devices at the operator's end.
type Devices struct{ c *Client }

// Devices are the devices that people log in with.
func (c *Client) Devices() Devices { return Devices{c} }

// List is the devices of an account that may log in with a token or a cookie.
func (d Devices) List(ctx context.Context, who jid.JID) ([]account.Known, error) {
	var list []device
	if err := d.c.do(ctx, http.MethodGet, userPath(who)+"/devices", nil, &list); err != nil {
		return nil, err
	}
	out := make([]account.Known, 0, len(list))
	for _, k := range list {
		out = append(out, account.Known{Device: account.Device{ID: k.ID, Software: k.Software, Name: k.Name}, Created: k.Created, Used: k.Used, Expires: k.Expires})
	}
	return out, nil
}

// Revoke takes a device from its account; account.ErrNotFound if it has none such.
func (d Devices) Revoke(ctx context.Context, who jid.JID, id string) error {
	return d.c.do(ctx, http.MethodDelete, userPath(who)+"/devices/"+url.PathEscape(id), nil, nil)
}
