package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/host"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Status is what a running server says of itself.
type Status struct {
	Version  string    `json:"version"`
	Domain   string    `json:"domain"`
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`
	Accounts int       `json:"accounts"`
	Sessions int       `json:"sessions"`
}

// user is an account on the wire.
type user struct {
	JID      string    `json:"jid"`
	Name     string    `json:"name,omitempty"`
	Disabled bool      `json:"disabled,omitempty"`
	Admin    bool      `json:"admin,omitempty"`
	Created  time.Time `json:"created"`
}

func toUser(a account.Account) user {
	return user{a.JID.String(), a.Name, a.Disabled, a.Admin, a.Created}
}

func (u user) account() (account.Account, error) {
	j, err := jid.Parse(u.JID)
	return account.Account{JID: j, Name: u.Name, Disabled: u.Disabled, Admin: u.Admin, Created: u.Created}, err
}

type addRequest struct {
	JID      string `json:"jid"`
	Password string `json:"password"`
	Name     string `json:"name"`
	Admin    bool   `json:"admin"`
}

type passwordRequest struct {
	Password string `json:"password"`
}

// changeRequest leaves alone what is absent.
type changeRequest struct {
	Name     *string `json:"name,omitempty"`
	Admin    *bool   `json:"admin,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"`
}

// event is a line of an import's answer; one field is set.
type event struct {
	Progress *account.Progress `json:"progress,omitempty"`
	Bad      *badLine          `json:"bad,omitempty"`
	Done     *account.Progress `json:"done,omitempty"`
	Error    string            `json:"error,omitempty"`
}

type badLine struct {
	Line int    `json:"line"`
	Why  string `json:"why"`
}

// problem is the body of every answer that is no success.
type problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// problems pairs the errors both ends know with code and status.
func problems() []struct {
	err    error
	code   string
	status int
} {
	return []struct {
		err    error
		code   string
		status int
	}{
		{account.ErrNotFound, "not-found", http.StatusNotFound},
		{account.ErrExists, "exists", http.StatusConflict},
		{account.ErrName, "bad-name", http.StatusBadRequest},
		{host.ErrNotFound, "no-host", http.StatusNotFound},
		{host.ErrExists, "host-exists", http.StatusConflict},
	}
}

const codeRefused, codeHostRefused = "refused", "host-refused"

// toProblem is what the other end may know of an error.
func toProblem(err error) (problem, int) {
	for _, p := range problems() {
		if errors.Is(err, p.err) {
			return problem{p.code, ""}, p.status
		}
	}
	if r, ok := errors.AsType[*account.Refused](err); ok {
		return problem{codeRefused, r.Why}, http.StatusUnprocessableEntity
	}
	if r, ok := errors.AsType[*host.Refused](err); ok {
		return problem{codeHostRefused, r.Why}, http.StatusUnprocessableEntity
	}
	if b, ok := errors.AsType[*badRequest](err); ok {
		return problem{"bad-request", b.why}, http.StatusBadRequest
	}
	// The operator's own machine: the store's trouble is theirs to read.
	return problem{"internal", err.Error()}, http.StatusInternalServerError
}

// err turns a problem back into the error the other end had.
func (p problem) err() error {
	for _, k := range problems() {
		if p.Code == k.code {
			return k.err
		}
	}
	if p.Code == codeRefused {
		return &account.Refused{Why: p.Detail}
	}
	if p.Code == codeHostRefused {
		return &host.Refused{Why: p.Detail}
	}
	return errors.New("api: the server says: " + p.Detail)
}

type badRequest struct{ why string }

func (b *badRequest) Error() string { return "api: bad request: " + b.why }
