package http

import (
	"encoding/json"
	"errors"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// cookie keeps a browser logged in. The prefix makes browsers insist on
// Secure, Path=/ and no Domain.
const cookie = "__Host-parlance"

// bodyLimit bounds a request of the API.
const bodyLimit = 8 << 10

// problem is RFC 9457.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code"`
}

func fail(w http.ResponseWriter, p problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	write(w, p.Status, "application/problem+json", p)
}

func write(w http.ResponseWriter, status int, kind string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// grant is what a login gives.
type grant struct {
	JID       string `json:"jid"`
	Token     string `json:"token"`
	ExpiresIn int    `json:"expires_in"` // seconds
}

// mechanism is what a login with a browser is counted as.
const mechanism = "web"

// login is POST /api/v1/session: a password for a cookie and a token.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if !s.sameOrigin(w, r) || !isJSON(w, r) {
		return
	}
	var in struct{ User, Password string }
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil || d.More() {
		if _, long := errors.AsType[*http.MaxBytesError](err); long {
			fail(w, problem{Status: http.StatusRequestEntityTooLarge, Code: "too-large", Detail: "The request is too long."})
			return
		}
		fail(w, problem{Status: http.StatusBadRequest, Code: "bad-request", Detail: "Send {\"user\": …, \"password\": …}."})
		return
	}
	who, ok := s.account(r, in.User)
	if !ok {
		s.refuse(w, r, sasl.Denied())
		return
	}
	began := time.Now()
	if err := s.conf.Credentials(source(r)).Password(r.Context(), who, in.Password); err != nil {
		s.refuse(w, r, err)
		return
	}
	web, err := s.conf.Tokens.MintToken(r.Context(), who, account.Web, account.WebTTL)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if f := s.conf.Revoked; f != nil && f(who, began) {
		_ = s.conf.Tokens.RevokeToken(r.Context(), web)
		s.refuse(w, r, sasl.Denied())
		return
	}
	// A login takes the place of the browser's old one (HARDENING V10).
	if old, err := r.Cookie(cookie); err == nil {
		_ = s.conf.Tokens.RevokeToken(r.Context(), old.Value)
	}
	setCookie(w, web, account.WebTTL)
	s.conf.Meter.Logins.Add(mechanism, "success")
	s.grant(w, r, web)
}

// account is who a user name means: somebody of a hosted domain, of the one that was called where none is said.
func (s *Server) account(r *http.Request, user string) (jid.JID, bool) {
	var who jid.JID
	var err error
	if strings.Contains(user, "@") {
		who, err = jid.Parse(user)
	} else {
		here, _ := s.called(r)
		who, err = jid.New(user, here, "")
	}
	return who, err == nil && who.Local() != "" && who.IsBare() && s.hosted(who.Domain())
}

// hosted says whether a domain is one of ours.
func (s *Server) hosted(domain string) bool {
	if s.conf.Hosts == nil {
		return domain == s.conf.Domain.Domain()
	}
	_, ok := s.conf.Hosts(domain)
	return ok
}

// called is the hosted domain a request was sent to, and its name; the first one if it is none.
func (s *Server) called(r *http.Request) (domain, name string) {
	if s.conf.Hosts != nil {
		at := r.Host
		if h, _, err := net.SplitHostPort(at); err == nil {
			at = h
		}
		if j, err := jid.Parse(at); err == nil && j.IsDomain() {
			if name, ok := s.conf.Hosts(j.Domain()); ok {
				return j.Domain(), name
			}
		}
		if name, ok := s.conf.Hosts(s.conf.Domain.Domain()); ok {
			return s.conf.Domain.Domain(), name
		}
	}
	return s.conf.Domain.Domain(), s.conf.Name
}

// token is POST /api/v1/token: a fresh token from the cookie.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if !s.sameOrigin(w, r) {
		return
	}
	c, err := r.Cookie(cookie)
	if err != nil {
		noSession(w)
		return
	}
	s.grant(w, r, c.Value)
}

func (s *Server) grant(w http.ResponseWriter, r *http.Request, web string) {
	token, who, err := s.conf.Tokens.MintChild(r.Context(), web, account.Web, account.Stream, account.StreamTTL)
	switch {
	case errors.Is(err, account.ErrNoToken), err == nil && !s.hosted(who.Domain()): // its host is gone
		setCookie(w, "", 0)
		noSession(w)
	case err != nil:
		s.refuse(w, r, err)
	default:
		write(w, http.StatusOK, "application/json", grant{who.String(), token, int(account.StreamTTL / time.Second)})
	}
}

// logout is DELETE /api/v1/session.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if !s.sameOrigin(w, r) {
		return
	}
	if c, err := r.Cookie(cookie); err == nil {
		if err := s.conf.Tokens.RevokeToken(r.Context(), c.Value); err != nil {
			s.refuse(w, r, err)
			return
		}
	}
	setCookie(w, "", 0)
	w.WriteHeader(http.StatusNoContent)
}

// info is GET /api/v1/info, for everybody.
func (s *Server) info(w http.ResponseWriter, r *http.Request) {
	scheme := "ws://"
	if r.TLS != nil {
		scheme = "wss://"
	}
	domain, name := s.called(r)
	write(w, http.StatusOK, "application/json", map[string]string{
		"domain": domain, "name": name, "version": s.conf.Version,
		"websocket": scheme + r.Host + "/ws",
	})
}

func setCookie(w http.ResponseWriter, value string, ttl time.Duration) {
	age := int(ttl / time.Second)
	if age == 0 {
		age = -1 // removes it
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookie, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// sameOrigin refuses calls other sites make (HARDENING V5).
func (s *Server) sameOrigin(w http.ResponseWriter, r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 1 {
		if slices.Contains(s.conf.Origins, values[0]) {
			return true
		}
		scheme := "https"
		if r.TLS == nil {
			scheme = "http"
		}
		u, err := url.Parse(values[0])
		if err == nil && u.Scheme == scheme && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	fail(w, problem{Status: http.StatusForbidden, Code: "bad-origin", Detail: "This call is for pages of this server."})
	return false
}

func isJSON(w http.ResponseWriter, r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && kind == "application/json" {
		return true
	}
	fail(w, problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported-media-type", Detail: "Send application/json."})
	return false
}

func noSession(w http.ResponseWriter) {
	fail(w, problem{Status: http.StatusUnauthorized, Code: "no-session", Detail: "Please sign in."})
}

// refuse answers with an error of im/account; what is nobody's business is logged.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	result := sasl.TemporaryAuthFailure
	if f, ok := errors.AsType[*sasl.Failure](err); ok {
		result = f.Condition
	}
	s.conf.Meter.Logins.Add(mechanism, result)
	if refuse(w, err) {
		// For whoever watches the log for guessing; what was guessed is not told.
		s.conf.Log.Info("login refused", "remote", r.RemoteAddr, "error", err)
	} else {
		s.conf.Log.Error("login is not possible", "error", err)
		fail(w, problem{Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "Signing in is not possible now. Please try again in a moment."})
	}
}

// refuse knows the refusals a person may read. All wrong credentials look the
// same (HARDENING A6).
func refuse(w http.ResponseWriter, err error) bool {
	f, ok := errors.AsType[*sasl.Failure](err)
	switch {
	case !ok:
		return false
	case f.Retry > 0:
		w.Header().Set("Retry-After", strconv.Itoa(int((f.Retry+time.Second-1)/time.Second)))
		fail(w, problem{Status: http.StatusTooManyRequests, Code: "slow-down", Detail: "Too many failed attempts. Please try again later."})
	case f.Condition == sasl.AccountDisabled:
		fail(w, problem{Status: http.StatusForbidden, Code: "account-disabled", Detail: "This account is disabled."})
	case f.Condition == sasl.TemporaryAuthFailure:
		return false
	default:
		fail(w, problem{Status: http.StatusUnauthorized, Code: "bad-credentials", Detail: "Wrong user name or password."})
	}
	return true
}

func source(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}
