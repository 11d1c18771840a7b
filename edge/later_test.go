package edge_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"testing"

	"github.com/parlance-im/parlance/edge"
	"github.com/parlance-im/parlance/edge/edgetest"
)

// A peer that does not read keeps nobody up, and gets everything in order when it does.
func TestLater_fullSocket(t *testing.T) {
	s, c := pair(t)
	if !s.Later(true) {
		t.Fatal("a socket is not written to without waiting")
	}
	var want []byte
	for i := byte(0); !s.Owes(); i++ {
		p := bytes.Repeat([]byte{i}, 100_000)
		if n, err := s.Write(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
		want = append(want, p...)
	}
	if n, err := s.Write([]byte("more")); n != 4 || err != nil || !s.Owes() {
		t.Fatal(n, err)
	}
	s.Later(false)
	got := make(chan []byte, 1)
	go func() { b, _ := io.ReadAll(c); got <- b }()
	if _, err := s.Write([]byte("last")); err != nil || s.Owes() { // what is owed goes first
		t.Fatal(err)
	}
	if err := s.Settle(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if b := <-got; !bytes.Equal(b, append(want, "morelast"...)) {
		t.Errorf("%d bytes came, want %d in order", len(b), len(want)+8)
	}
}

// crypto/tls takes every error of a write as the last: it must see none.
func TestLater_underTLS(t *testing.T) {
	s, c := pair(t)
	keys := edgetest.Keys(t)
	type shaken struct {
		c   *tls.Conn
		err error
	}
	ch := make(chan shaken, 1)
	go func() {
		x, err := edge.Handshake(context.Background(), s, nil, keys.Config(0), patience)
		ch <- shaken{x, err}
	}()
	client := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	d := <-ch
	if d.err != nil {
		t.Fatal(d.err)
	}
	n := 0
	s.Later(true)
	for !s.Owes() {
		k, err := d.c.Write(make([]byte, 50_000))
		if n += k; err != nil {
			t.Fatal(err)
		}
	}
	s.Later(false)
	got := make(chan int64, 1)
	go func() { k, _ := io.Copy(io.Discard, client); got <- k }()
	if err := s.Settle(); err != nil || s.Owes() {
		t.Fatal(err)
	}
	if k, err := d.c.Write([]byte("more")); k != 4 || err != nil {
		t.Fatal(k, err)
	}
	d.c.Close()
	if k := <-got; k != int64(n+4) {
		t.Errorf("%d bytes came, want %d", k, n+4)
	}
}

func TestLater_closed(t *testing.T) {
	s, _ := pair(t)
	s.Later(true)
	s.Close()
	if n, err := s.Write([]byte("x")); err == nil || n != 0 {
		t.Error(n, err)
	}
}
