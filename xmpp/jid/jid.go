package jid

import "strings"

// maxPart is the longest any part may be after normalisation, in bytes (RFC 7622 §3.1).
const maxPart = 1023

// JID is a normalised address. The zero value is no address at all. Two JIDs
// are the same address exactly if they are ==.
type JID struct {
	s string // local@domain/resource, absent parts without their separator
	l uint16 // length of the local part, 0 if there is none
	d uint16 // end of the domain in s
}

// MustParse is Parse for constants and tests: it panics on what is no address.
func MustParse(s string) JID {
	j, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return j
}

// Parse takes an address apart and normalises its parts (RFC 7622 §3.1). The
// result shares memory with s where s is normal already.
func Parse(s string) (JID, error) {
	if j, ok := parseNormal(s); ok {
		return j, nil
	}
	// RFC 7622 §3.1: the resource begins at the first slash, the local part ends
	// at the first at-sign before it; this order matters.
	rest, resource, hasResource := strings.Cut(s, "/")
	local, domain, hasLocal := strings.Cut(rest, "@")
	if !hasLocal {
		local, domain = "", rest
	}
	if hasResource && resource == "" {
		return JID{}, &Error{Part: "resource", Why: "empty"}
	}
	if hasLocal && local == "" {
		return JID{}, &Error{Part: "local", Why: "empty"}
	}
	return New(local, domain, resource)
}

// New makes an address of parts that are not normalised yet. An empty local
// part or resource is none.
func New(local, domain, resource string) (JID, error) {
	domain, err := normDomain(domain)
	if err != nil {
		return JID{}, err
	}
	if local != "" {
		if local, err = normLocal(local); err != nil {
			return JID{}, err
		}
	}
	if resource != "" {
		if resource, err = normResource(resource); err != nil {
			return JID{}, err
		}
	}
	return join(local, domain, resource), nil
}

// join puts normalised parts together.
func join(local, domain, resource string) JID {
	s, d := domain, len(domain)
	if local != "" {
		s = local + "@" + domain
		d = len(s)
	}
	if resource != "" {
		s += "/" + resource
	}
	return JID{s: s, l: uint16(len(local)), d: uint16(d)}
}

// String is the whole address, "" for the zero JID.
func (j JID) String() string { return j.s }

// Local is the part before the at-sign, "" if there is none.
func (j JID) Local() string { return j.s[:j.l] }

// Domain is the domain part, with internationalised labels in Unicode.
func (j JID) Domain() string { return j.s[j.domainStart():j.d] }

// Resource is the part after the slash, "" if there is none.
func (j JID) Resource() string {
	if int(j.d) >= len(j.s) {
		return ""
	}
	return j.s[j.d+1:]
}

// Bare is the address without its resource.
func (j JID) Bare() JID { j.s = j.s[:j.d]; return j }

// DomainJID is the address of the domain alone.
func (j JID) DomainJID() JID {
	d := j.Domain()
	return JID{s: d, d: uint16(len(d))}
}

// WithResource is the bare address with another resource, which it normalises;
// the empty resource is an error.
func (j JID) WithResource(resource string) (JID, error) {
	if j.IsZero() {
		return JID{}, &Error{Part: "domain", Why: "empty"}
	}
	r, err := normResource(resource)
	if err != nil {
		return JID{}, err
	}
	return JID{s: j.s[:j.d] + "/" + r, l: j.l, d: j.d}, nil
}

// IsZero says that there is no address.
func (j JID) IsZero() bool { return j.d == 0 }

// IsBare says that it is user@domain or a domain, without a resource (RFC 6120 §1.4).
func (j JID) IsBare() bool { return j.d != 0 && int(j.d) == len(j.s) }

// IsFull says that it has a resource.
func (j JID) IsFull() bool { return int(j.d) < len(j.s) }

// IsDomain says that it is a domain alone: no local part, no resource.
func (j JID) IsDomain() bool { return j.l == 0 && j.IsBare() }

func (j JID) domainStart() int {
	if j.l == 0 {
		return 0
	}
	return int(j.l) + 1
}

// Error says which part of an address is wrong and why. It does not repeat the
// address, which may be long and is somebody else's input.
type Error struct {
	Part string // local, domain or resource
	Why  string
}

func (e *Error) Error() string { return "jid: " + e.Part + ": " + e.Why }
