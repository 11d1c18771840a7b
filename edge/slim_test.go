package edge_test

import (
	"bytes"
	"crypto/tls"
	"net"
	"reflect"
	"testing"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/edgetest"
)

// What Slim knows of crypto/tls still holds: the buffers are there, they are given back, and
// the connection goes on in both directions, also with records of all sizes.
func TestSlim_theConnectionGoesOn(t *testing.T) {
	if !edge.Slimmable(reflect.TypeFor[tls.Conn]()) {
		t.Fatal("this Go's tls.Conn has other fields: look at Slim")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	keys := edgetest.Keys(t)
	echoed := make(chan error, 1)
	go func() {
		raw, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			echoed <- err
			return
		}
		c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		defer c.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				echoed <- nil
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				echoed <- err
				return
			}
		}
	}()
	raw, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	srv := tls.Server(edge.NewConn(raw), keys.Config(0))
	if err := srv.Handshake(); err != nil {
		t.Fatal(err)
	}
	if edge.Held(srv) == 0 {
		t.Error("a handshake leaves no buffers: Slim is not needed any more")
	}
	in := make([]byte, 20<<10)
	for _, size := range []int{1, 300, 16 << 10, 7, 15 << 10} {
		edge.Slim(srv)
		if n := edge.Held(srv); n != 0 {
			t.Errorf("%d bytes are still held", n)
		}
		out := bytes.Repeat([]byte{byte(size)}, size)
		if _, err := srv.Write(out); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < size; {
			// One byte at a time in the middle: what is read and not taken must not be given back.
			n, err := srv.Read(in[got : got+1+(size-got)/2])
			if err != nil {
				t.Fatal(err)
			}
			got += n
			edge.Slim(srv)
		}
		if !bytes.Equal(in[:size], out) {
			t.Fatalf("%d bytes came back wrong", size)
		}
	}
	srv.Close()
	if err := <-echoed; err != nil {
		t.Error(err)
	}
}

func TestFindBuffers_otherFields(t *testing.T) {
	type other struct{ Conn []byte }
	if edge.Slimmable(reflect.TypeFor[other]()) {
		t.Error("fields of another type are taken for buffers")
	}
}
