package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/parlance-im/parlance/im/host"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Hosts are the domains the server serves; server meets it.
type Hosts interface {
	List(ctx context.Context) ([]host.State, error)
	Show(ctx context.Context, at jid.JID) (host.State, error)
	Add(ctx context.Context, at jid.JID, set host.Settings) error
	Set(ctx context.Context, at jid.JID, c host.Change) error
	Disable(ctx context.Context, at jid.JID, disabled bool, notice string) error
	Remove(ctx context.Context, at jid.JID, r host.Removal) error
}

type hostRequest struct {
	Name string        `json:"name"`
	Set  host.Settings `json:"set,omitempty"`
}

// hostChange leaves alone what is absent.
type hostChange struct {
	Set      host.Settings `json:"set,omitempty"`
	Unset    []string      `json:"unset,omitempty"`
	Disabled *bool         `json:"disabled,omitempty"`
	Notice   string        `json:"notice,omitempty"`
}

func (s *Server) hostRoutes() map[string]func(http.ResponseWriter, *http.Request) error {
	if s.Hosts == nil {
		return nil
	}
	return map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /v1/hosts":           s.hosts,
		"POST /v1/hosts":          s.addHost,
		"GET /v1/hosts/{name}":    s.showHost,
		"PATCH /v1/hosts/{name}":  s.changeHost,
		"DELETE /v1/hosts/{name}": s.removeHost,
	}
}

// domain reads the name of a host.
func domain(text string) (jid.JID, error) {
	j, err := jid.Parse(text)
	if err != nil || !j.IsDomain() {
		return jid.JID{}, host.Refuse("%q is not a domain: write only the part behind the @, like \"example.com\"", text)
	}
	return j, nil
}

func (s *Server) hosts(w http.ResponseWriter, r *http.Request) error {
	list, err := s.Hosts.List(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) showHost(w http.ResponseWriter, r *http.Request) error {
	at, err := domain(r.PathValue("name"))
	if err != nil {
		return err
	}
	st, err := s.Hosts.Show(r.Context(), at)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, st)
	return nil
}

func (s *Server) addHost(w http.ResponseWriter, r *http.Request) error {
	var q hostRequest
	if err := read(w, r, &q); err != nil {
		return err
	}
	at, err := domain(q.Name)
	if err != nil {
		return err
	}
	if err := s.Hosts.Add(r.Context(), at, q.Set); err != nil {
		return err
	}
	s.log().Info("admin: host added", "host", at.String())
	answer(w, http.StatusCreated, struct{}{})
	return nil
}

func (s *Server) changeHost(w http.ResponseWriter, r *http.Request) error {
	var q hostChange
	if err := read(w, r, &q); err != nil {
		return err
	}
	at, err := domain(r.PathValue("name"))
	if err == nil && len(q.Set)+len(q.Unset) > 0 {
		err = s.Hosts.Set(r.Context(), at, host.Change{Set: q.Set, Unset: q.Unset})
	}
	if err == nil && q.Disabled != nil {
		err = s.Hosts.Disable(r.Context(), at, *q.Disabled, q.Notice)
	}
	if err != nil {
		return err
	}
	s.log().Info("admin: host changed", "host", at.String(), "settings", len(q.Set)+len(q.Unset), "disabled", q.Disabled != nil && *q.Disabled)
	answer(w, http.StatusOK, struct{}{})
	return nil
}

func (s *Server) removeHost(w http.ResponseWriter, r *http.Request) error {
	var q host.Removal
	if err := read(w, r, &q); err != nil {
		return err
	}
	at, err := domain(r.PathValue("name"))
	if err == nil {
		err = s.Hosts.Remove(r.Context(), at, q)
	}
	if err != nil {
		return err
	}
	s.log().Info("admin: host removed", "host", at.String(), "purge", q.Purge)
	answer(w, http.StatusOK, struct{}{})
	return nil
}

// HostClient is the operator's end of Hosts.
type HostClient struct{ c *Client }

// Hosts are those of the server.
func (c *Client) Hosts() HostClient { return HostClient{c} }

func hostPath(at jid.JID) string { return "/v1/hosts/" + url.PathEscape(at.Domain()) }

// List meets Hosts, as what follows does.
func (h HostClient) List(ctx context.Context) (list []host.State, err error) {
	return list, h.c.do(ctx, http.MethodGet, "/v1/hosts", nil, &list)
}

// Show reads one host.
func (h HostClient) Show(ctx context.Context, at jid.JID) (st host.State, err error) {
	return st, h.c.do(ctx, http.MethodGet, hostPath(at), nil, &st)
}

// Add adds a host.
func (h HostClient) Add(ctx context.Context, at jid.JID, set host.Settings) error {
	return h.c.do(ctx, http.MethodPost, "/v1/hosts", hostRequest{at.Domain(), set}, nil)
}

// Set changes what is set on it.
func (h HostClient) Set(ctx context.Context, at jid.JID, c host.Change) error {
	return h.c.do(ctx, http.MethodPatch, hostPath(at), hostChange{Set: c.Set, Unset: c.Unset}, nil)
}

// Disable ends it for a while, or serves it again.
func (h HostClient) Disable(ctx context.Context, at jid.JID, disabled bool, notice string) error {
	return h.c.do(ctx, http.MethodPatch, hostPath(at), hostChange{Disabled: &disabled, Notice: notice}, nil)
}

// Remove ends it.
func (h HostClient) Remove(ctx context.Context, at jid.JID, r host.Removal) error {
	return h.c.do(ctx, http.MethodDelete, hostPath(at), r, nil)
}
