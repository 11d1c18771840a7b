// Command fakes3 is an S3 service that keeps a bucket in memory, for tests: it
// prints "listening HOST:PORT" and serves until its standard input ends. A
// module of its own, so that what it pulls in never enters the product.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "fakes3:", err)
		os.Exit(1)
	}
}

func run(addr, bucket string) error {
	back := s3mem.New()
	if err := back.CreateBucket(bucket); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("listening", ln.Addr())
	s := &http.Server{Handler: gofakes3.New(back).Server()}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = s.Close()
	}()
	if err := s.Serve(ln); err != http.ErrServerClosed {
		return err
	}
	return nil
}
