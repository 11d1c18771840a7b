package vhost

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/server"
)

// An independent client on two hosts: the other one comes and goes four times while
// people of the first write 6,000 messages; none is lost or doubled, no stream ends.
func TestHosts_comeAndGoWhileOthersChat(t *testing.T) {
	if err := exec.Command("/usr/bin/python3", "-c", "import slixmpp").Run(); err != nil {
		t.Fatal("slixmpp is missing: apt-get install python3-slixmpp")
	}
	s := server.Test(t, server.Parlance)
	bin, err := server.Binary()
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(s.C2S)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", "slix_hosts.py", host, port, server.Domain, other, server.Password, secret, bin, s.Data(), "4", "3000")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"ok login", "ok come-and-go 4 times", "ok chat 6000 messages, 0 lost, 0 doubled, 2 streams", "done"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	t.Log(out.String())
}
