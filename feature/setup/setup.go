package setup

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Accounts is where the account is made; im/account.Store meets it.
type Accounts interface {
	CheckToken(ctx context.Context, token string, kind account.Kind) (jid.JID, error)
	TakeToken(ctx context.Context, token string, kind account.Kind) (jid.JID, error)
	Create(ctx context.Context, who jid.JID, password string, o account.Options) error
	Count(ctx context.Context) (int, error)
}

// Feature is the set-up over HTTPS.
func Feature(a Accounts, domain string, log *slog.Logger) im.Feature {
	h := &handler{accounts: a, domain: domain, log: log}
	return im.Feature{
		Name: "setup",
		HTTP: []im.HTTPRoute{{Pattern: "POST /api/v1/setup", Handler: h}},
	}
}

type handler struct {
	accounts Accounts
	domain   string
	log      *slog.Logger
	mu       sync.Mutex // one attempt at a time: the token makes one account
}

type request struct{ Token, User, Password, Name string }

// bodyMax is more than any request needs.
const bodyMax = 8 << 10

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q request
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		problem(w, http.StatusBadRequest, "bad-request", "send JSON with token, user, password and name")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
	defer cancel()
	if !h.open(ctx, q.Token) {
		problem(w, http.StatusForbidden, "bad-token", "this is not the set-up token, or it has been used, or is over; restart the server for a new one")
		return
	}
	who, err := jid.New(q.User, h.domain, "")
	badName := err != nil
	if !badName {
		err = h.accounts.Create(ctx, who, q.Password, account.Options{Name: q.Name, Admin: true})
	}
	var refused *account.Refused
	switch {
	case errors.As(err, &refused):
		problem(w, http.StatusBadRequest, "bad-password", refused.Why)
		return
	case badName || errors.Is(err, account.ErrName) || errors.Is(err, account.ErrExists):
		problem(w, http.StatusBadRequest, "bad-request", "this name can't be an account's, or is one already")
		return
	case err != nil:
		h.log.Error("setup: the first account was not made", "err", err)
		problem(w, http.StatusInternalServerError, "internal-error", "the account could not be made; the server's log says why")
		return
	}
	if _, err := h.accounts.TakeToken(ctx, q.Token, account.Setup); err != nil {
		h.log.Warn("setup: the token could not be used up; it ends by itself", "err", err)
	}
	h.log.Info("setup: first account made", "account", who.String())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]string{"jid": who.String()})
}

// open says whether the token lets its holder in: it makes the first account, not
// one more when somebody has made that on the machine meanwhile.
func (h *handler) open(ctx context.Context, token string) bool {
	if _, err := h.accounts.CheckToken(ctx, token, account.Setup); err != nil {
		return false
	}
	n, err := h.accounts.Count(ctx)
	if err != nil {
		h.log.Error("setup: accounts can't be counted", "err", err)
	}
	return err == nil && n == 0
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail})
}
