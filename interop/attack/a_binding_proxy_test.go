package attack

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// interceptor is who got a second certificate for the domain that clients
// believe, and stands between them and the server: TLS to both, and everything
// in between readable and changeable.
type interceptor struct {
	to       string // the server's address
	starttls bool
	shown    tls.Certificate
	inner    uint16 // TLS version towards the client
	outer    uint16 // and towards the server
	alpn     []string
	// edit may change what was sent in one piece; nil changes nothing.
	edit func(outer *tls.Conn, toServer bool, piece []byte) []byte

	ln net.Listener
	wg sync.WaitGroup
}

// start listens until the test ends, and gives the address.
func (x *interceptor) start(t testing.TB) string {
	t.Helper()
	var err error
	if x.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	x.wg.Go(func() {
		for {
			c, err := x.ln.Accept()
			if err != nil {
				return
			}
			x.wg.Go(func() { x.serve(c) })
		}
	})
	t.Cleanup(func() { _ = x.ln.Close(); x.wg.Wait() })
	return x.ln.Addr().String()
}

// serve carries one connection until one of its ends is gone.
func (x *interceptor) serve(victim net.Conn) {
	defer victim.Close()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source())}}
	srv, err := d.Dial("tcp", x.to)
	if err != nil {
		return
	}
	defer srv.Close()
	for _, c := range []net.Conn{victim, srv} {
		_ = c.SetDeadline(time.Now().Add(2 * patience))
	}
	if x.starttls && x.upgrade(victim, srv) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conf := client.TLSConfig(server.Domain, x.alpn...)
	conf.MinVersion, conf.MaxVersion = x.outer, x.outer
	outer := tls.Client(srv, conf)
	inner := tls.Server(victim, &tls.Config{Certificates: []tls.Certificate{x.shown}, NextProtos: x.alpn, MinVersion: x.inner, MaxVersion: x.inner})
	if outer.HandshakeContext(ctx) != nil || inner.HandshakeContext(ctx) != nil {
		return
	}
	x.wg.Go(func() { x.pump(outer, inner, outer, true) })
	x.pump(outer, outer, inner, false)
}

// upgrade carries the plain text up to <proceed/>: each side waits for the other there.
func (x *interceptor) upgrade(victim, srv net.Conn) error {
	for _, leg := range []struct {
		from, to net.Conn
		mark     string
	}{{victim, srv, "streams'>"}, {srv, victim, "</stream:features>"}, {victim, srv, "xmpp-tls'/>"}, {srv, victim, "/>"}} {
		var said []byte
		for one := make([]byte, 1); !bytes.HasSuffix(said, []byte(leg.mark)); said = append(said, one[0]) {
			if _, err := leg.from.Read(one); err != nil {
				return err
			}
		}
		if _, err := leg.to.Write(said); err != nil {
			return err
		}
	}
	return nil
}

// pump carries one direction, piece by piece: what was written at once is one TLS record.
func (x *interceptor) pump(outer, from, to *tls.Conn, toServer bool) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			piece := buf[:n]
			if x.edit != nil {
				piece = x.edit(outer, toServer, bytes.Clone(piece))
			}
			if _, err := to.Write(piece); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// editSASL changes the message in an <auth/> or <response/>, if the piece is one.
func editSASL(piece []byte, change func(msg string) string) []byte {
	for _, end := range []string{"</auth>", "</response>"} {
		before, after, ok := bytes.Cut(piece, []byte(end))
		i := bytes.LastIndexByte(before, '>')
		if !ok || i < 0 {
			continue
		}
		msg, err := base64.StdEncoding.DecodeString(string(before[i+1:]))
		if err != nil {
			continue
		}
		text := base64.StdEncoding.EncodeToString([]byte(change(string(msg))))
		return bytes.Join([][]byte{before[:i+1], []byte(text), []byte(end), after}, nil)
	}
	return piece
}

// secondCertificate is one for the domain that is not the server's.
func secondCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: server.Domain}, DNSNames: []string{server.Domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: x509.ECDSAWithSHA256,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
