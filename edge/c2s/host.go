package c2s

import (
	"errors"

	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// Host is one hosted domain as a stream sees it. It never changes: a stream keeps
// the one it began with.
type Host struct {
	Domain     jid.JID
	Mechanisms []string    // offered ones; empty: all
	Guests     bool        // people without an account are let in
	Register   Register    // nil: accounts are made elsewhere
	Stanza     elem.Limits // one stanza after login; zero: as Limits has it
	// Features are added to the stream features after login.
	Features []*elem.Element

	sasl  sasl.Config
	extra []byte // Features, written
}

// NewHost prepares a host for the streams to come.
func NewHost(h Host) (*Host, error) {
	if !h.Domain.IsDomain() {
		return nil, errors.New("c2s: the domain is missing")
	}
	h.sasl = sasl.Config{Domain: h.Domain.Domain(), Only: h.Mechanisms, Guests: h.Guests}
	for _, f := range h.Features {
		h.extra = f.AppendTo(h.extra, stream.Client)
	}
	return &h, nil
}

// host finds a hosted domain; nil if there is none of that name.
func (s *Server) host(to jid.JID) *Host {
	switch {
	case !to.IsDomain():
		return nil
	case s.conf.Hosts != nil:
		return s.conf.Hosts(to.Domain())
	case to == s.home.Domain:
		return s.home
	}
	return nil
}

// speaker is whom the stream speaks for: as long as its peer has named nobody, the first host.
func (s *Stream) speaker() *Host {
	if s.host != nil {
		return s.host
	}
	return s.srv.home
}

// stanzaLimits are what the scanner holds a stanza to after login.
func stanzaLimits(s *Stream) elem.Limits {
	if h := s.speaker(); h.Stanza.Bytes > 0 {
		return h.Stanza
	}
	return s.srv.conf.Limits.Stanza
}
