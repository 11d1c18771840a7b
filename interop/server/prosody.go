package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const prosodyConfig = `
run_as_root = true
daemonize = false
pidfile = %[1]q
data_path = %[2]q
log = { warn = %[3]q }
network_backend = "epoll"
interfaces = { "127.0.0.1" }
c2s_ports = { %[4]d }
c2s_direct_tls_ports = { %[5]d }
s2s_ports = { }
http_ports = { %[6]d }
https_ports = { %[7]d }
https_interfaces = { "127.0.0.1" }
http_interfaces = { "127.0.0.1" }
cross_domain_websocket = true
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "uptime", "time", "version", "vcard_legacy", "vcard4", "pep",
  "blocklist", "carbons", "smacks", "mam", "offline", "csi", "lastactivity", "private", "bookmarks", "websocket", "http", "posix", "external_services" }
modules_disabled = { "s2s" }
authentication = "internal_plain"
storage = "internal"
archive_expires_after = "never"
default_archive_policy = true
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
certificates = %[2]q
ssl = { certificate = %[8]q, key = %[9]q }
%[11]s
VirtualHost %[10]q
Component ("conference." .. %[10]q) "muc"
  modules_enabled = { "muc_mam" }
`

func (s *Server) prosody(ctx context.Context, o Options) error {
	bin, err := exec.LookPath("prosody")
	if err != nil {
		return errors.New("server: prosody is missing: apt-get install prosody")
	}
	if s.ports[0] == 0 {
		if s.ports, err = freePorts(); err != nil {
			return err
		}
	}
	data := filepath.Join(s.Dir, "data")
	cert, key := filepath.Join(s.Dir, "cert.pem"), filepath.Join(s.Dir, "key.pem")
	if o.Reuse == nil {
		if err := writeProsodyData(data); err != nil {
			return err
		}
		if err := selfSigned(cert, key); err != nil {
			return err
		}
	}
	conf := filepath.Join(s.Dir, "prosody.cfg.lua")
	p := s.ports
	text := fmt.Sprintf(prosodyConfig, filepath.Join(s.Dir, "prosody.pid"), data, filepath.Join(s.Dir, "prosody.log"),
		p[0], p[1], p[2], p[3], cert, key, Domain, o.Prosody)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	s.C2S, s.C2STLS, s.HTTP = loop(p[0]), loop(p[1]), loop(p[3])
	s.WebSocket = "wss://" + Domain + ":" + fmt.Sprint(p[3]) + "/xmpp-websocket"
	if err := s.run(bin, []string{"--config", conf, "-F"}, o.Env); err != nil {
		return err
	}
	return s.wait(ctx, func() bool { return accepts(s.C2S) && accepts(s.C2STLS) && accepts(s.HTTP) })
}

func loop(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// freePorts asks the kernel for ports that are free now. Prosody cannot be
// given a listening socket, so another process may take one in between; the
// start fails then, loudly.
func freePorts() (p [4]int, err error) {
	for i := range p {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return p, err
		}
		defer func() { _ = l.Close() }()
		p[i] = l.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

func writeProsodyData(dir string) error {
	host := filepath.Join(dir, strings.ReplaceAll(Domain, ".", "%2e"))
	for _, d := range []string{"accounts", "roster"} {
		if err := os.MkdirAll(filepath.Join(host, d), 0o700); err != nil {
			return err
		}
	}
	for _, who := range People {
		acc := fmt.Sprintf("return { [\"password\"] = %q; };\n", Password)
		if err := os.WriteFile(filepath.Join(host, "accounts", who+".dat"), []byte(acc), 0o600); err != nil {
			return err
		}
		if !slices.Contains(Friends, who) {
			continue
		}
		var b strings.Builder
		b.WriteString("return { [false] = { [\"version\"] = 1; [\"pending\"] = {}; };\n")
		for _, f := range Friends {
			if f != who {
				fmt.Fprintf(&b, "[%q] = { [\"subscription\"] = \"both\"; [\"groups\"] = {}; };\n", f+"@"+Domain)
			}
		}
		b.WriteString("};\n")
		if err := os.WriteFile(filepath.Join(host, "roster", who+".dat"), []byte(b.String()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func selfSigned(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: Domain}, DNSNames: []string{Domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		return err
	}
	kb, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kb}), 0o600)
}
