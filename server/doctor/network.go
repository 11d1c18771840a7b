package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/parlance-im/parlance/server"
)

// dns looks for the records that lead a client from the domain to this server.
func (e *exam) dns(ctx context.Context) {
	c := e.cfg
	if reserved(c.Domain) {
		e.add("dns", Warn, "set domain to one that your people can find, unless this is for trying only", "%q exists on this machine only", c.Domain)
		return
	}
	// RFC 6120 §3.2.1 and XEP-0368: clients ask for these two.
	e.srv(ctx, "xmpp-client", "listen.c2s", c.Listen.C2S)
	direct, key := c.Listen.C2STLS, "listen.c2s_tls"
	if len(direct) == 0 {
		direct, key = c.Listen.HTTPS, "listen.https" // it takes xmpp-client by ALPN
	}
	e.srv(ctx, "xmpps-client", key, direct)
}

func (e *exam) srv(ctx context.Context, service, key string, addrs []string) {
	if len(addrs) == 0 {
		return
	}
	ports := portsOf(addrs)
	record := fmt.Sprintf("_%s._tcp.%s. 3600 IN SRV 5 0 %d HOST.", service, e.cfg.Domain, ports[0])
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	_, list, err := e.LookupSRV(ctx, service, "tcp", e.cfg.Domain)
	var de *net.DNSError
	switch {
	case err != nil && (!errors.As(err, &de) || !de.IsNotFound):
		e.add("dns", Warn, "nothing, if this machine has no DNS; else check its resolver. The record should be: "+record, "no answer about _%s._tcp.%s: %v", service, e.cfg.Domain, err)
		return
	case err != nil || len(list) == 0:
		e.add("dns", Warn, "add: "+record+"\nwith HOST the name of this machine, so that clients need no settings", "there is no record _%s._tcp.%s", service, e.cfg.Domain)
		return
	}
	for _, r := range list {
		host := strings.TrimSuffix(r.Target, ".")
		if !slices.Contains(ports, r.Port) {
			e.add("dns", Warn, fmt.Sprintf("change the record or %s; fine if a firewall translates the port", key),
				"_%s._tcp leads to port %d of %s, but %s has %v", service, r.Port, host, key, ports)
			continue
		}
		if _, err := e.LookupHost(ctx, host); err != nil {
			e.add("dns", Bad, "add an address record for "+host, "_%s._tcp leads to %s, which has no address: %v", service, host, err)
			continue
		}
		e.add("dns", Good, "", "_%s._tcp leads to port %d of %s", service, r.Port, host)
	}
}

// reserved domains exist in no public DNS (RFC 6761 §6).
func reserved(domain string) bool {
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	return slices.Contains([]string{"localhost", "test", "example", "invalid", "local", "internal"}, strings.ToLower(last))
}

func portsOf(addrs []string) []uint16 {
	var ports []uint16
	for _, a := range addrs {
		_, p, err := net.SplitHostPort(a)
		if err != nil {
			continue // Check refuses it
		}
		n, _ := strconv.ParseUint(p, 10, 16)
		ports = append(ports, uint16(n))
	}
	return ports
}

// listeners tries each address, unless a server has them already.
func (e *exam) listeners() {
	if e.running {
		e.add("listen", Good, "", "a server is running on this configuration: the addresses are its own")
		return
	}
	l := e.cfg.Listen
	var good []string
	for _, x := range []struct {
		key   string
		addrs []string
	}{{"listen.c2s", l.C2S}, {"listen.c2s_tls", l.C2STLS}, {"listen.https", l.HTTPS}, {"listen.metrics", l.Metrics}} {
		for _, a := range x.addrs {
			ln, err := net.Listen("tcp", a)
			switch {
			case err == nil:
				good = append(good, a)
				_ = ln.Close() // nothing was accepted
			case errors.Is(err, syscall.EADDRINUSE):
				e.add("listen", Bad, "stop the program that has it, or change "+x.key, "%s is in use by another program", a)
			case errors.Is(err, fs.ErrPermission):
				e.add("listen", Bad, "give the program the capability CAP_NET_BIND_SERVICE, or use a port above 1023 in "+x.key, "%s may not be used by this user", a)
			default:
				e.add("listen", Bad, "change "+x.key, "%s: %v", a, err)
			}
		}
	}
	if len(good) > 0 {
		e.add("listen", Good, "", "free: %s", strings.Join(good, " "))
	}
	e.exposure()
}

// exposure says what an operator may not have meant.
func (e *exam) exposure() {
	c := e.cfg
	all := slices.Concat(c.Listen.C2S, c.Listen.C2STLS, c.Listen.HTTPS)
	if !slices.ContainsFunc(all, func(a string) bool { return !server.Loopback(a) }) {
		e.add("listen", Warn, "write \":PORT\" to listen for other machines", "every address is loopback: only this machine can connect")
	}
	if c.Login.Plaintext {
		e.add("listen", Warn, "switch login.plaintext off unless a test needs it", "login without TLS is allowed on loopback")
	}
}
