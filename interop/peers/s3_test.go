package peers

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

// fakeS3 is gofakes3 in a process of its own.
type fakeS3 struct {
	bin, addr string
	stop      func()
}

func (f *fakeS3) start(t *testing.T) {
	t.Helper()
	addr := f.addr
	if addr == "" {
		addr = "127.88.0.3:0" // of its own: the port is free while it is down
	}
	cmd := exec.Command(f.bin, addr, "parlance")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.stop = func() { _ = in.Close(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	f.addr = strings.TrimSpace(strings.TrimPrefix(line, "listening "))
}

// keys are the objects there are.
func (f *fakeS3) keys(t *testing.T) string {
	t.Helper()
	res, err := http.Get("http://" + f.addr + "/parlance?list-type=2")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Files in S3: the same uploads and downloads, contents in the bucket and not
// on disk, and what happens while the bucket is away.
func TestPeers_s3(t *testing.T) {
	f := &fakeS3{bin: filepath.Join(t.TempDir(), "fakes3")}
	cmd := exec.Command("go", "build", "-o", f.bin, ".")
	cmd.Dir = "fakes3"
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build in interop/peers/fakes3: %v\n%s", err, out)
	}
	f.start(t)
	defer func() { f.stop() }()
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Config: fmt.Sprintf(
		"[files]\nstore = \"s3\"\n[files.s3]\nendpoint = %q\nbucket = \"parlance\"\nregion = \"us-east-1\"\nprefix = \"files/\"\naccess_key = \"a\"\nsecret_key = \"s\"\nplaintext = true\n", f.addr)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Finish(t) })
	c := s.Login(t, "alice", "s3")
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: client.TLSConfig(server.Domain)}, Timeout: time.Minute}
	defer web.CloseIdleConnections()
	content := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	put, get := s3Slot(t, c, len(content))
	if status, text := s3Do(t, web, "PUT", put, content); status != 201 {
		t.Fatalf("%d %s", status, text)
	}
	sum := sha256.Sum256(content)
	if keys := f.keys(t); !strings.Contains(keys, "<Key>files/"+hex.EncodeToString(sum[:])+"</Key>") {
		t.Errorf("not in the bucket: %s", keys)
	}
	_ = filepath.WalkDir(filepath.Join(s.Data(), "files"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("on disk: %s", path)
		}
		return nil
	})
	for _, r := range []struct {
		header   string
		from, to int
	}{{"", 0, len(content)}, {"bytes=100-199", 100, 200}, {"bytes=-7", len(content) - 7, len(content)}, {"bytes=319990-", 319990, len(content)}} {
		status, text := s3Do(t, web, "GET", get, nil, "Range", r.header)
		if status != 200 && status != 206 || !bytes.Equal(text, content[r.from:r.to]) {
			t.Errorf("%q: %d, %d bytes", r.header, status, len(text))
		}
	}
	// Away: an upload fails and says so; the slot is as good as before.
	put, get = s3Slot(t, c, 5)
	f.stop()
	if status, _ := s3Do(t, web, "PUT", put, []byte("hello")); status < 500 {
		t.Errorf("without a bucket: %d", status)
	}
	f.start(t)
	if status, text := s3Do(t, web, "PUT", put, []byte("hello")); status != 201 {
		t.Errorf("with the bucket back: %d %s", status, text)
	}
	if status, text := s3Do(t, web, "GET", get, nil); status != 200 || string(text) != "hello" {
		t.Errorf("%d %q", status, text)
	}
}

func s3Slot(t *testing.T, c *client.Client, size int) (put, get string) {
	t.Helper()
	const space = "urn:xmpp:http:upload:0"
	n, err := c.IQ(20*time.Second, "get", server.Domain, fmt.Sprintf("<request xmlns='%s' filename='x.zip' size='%d' content-type='application/zip'/>", space, size))
	if err != nil {
		t.Fatal(err)
	}
	slot := n.Kid(space, "slot")
	if slot == nil {
		t.Fatal(n)
	}
	return slot.Kid(space, "put").Get("url"), slot.Kid(space, "get").Get("url")
}

func s3Do(t *testing.T, web *http.Client, method, url string, body []byte, header ...string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == "PUT" {
		r.Header.Set("Content-Type", "application/zip")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	res, err := web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b
}
