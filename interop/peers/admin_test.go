package peers

import (
	"net"
	"testing"

	"github.com/parlance-im/parlance/interop/server"
)

// slixmpp's own XEP-0050 and XEP-0133 against our commands.
func TestSlixmpp_administers(t *testing.T) {
	need(t, "/usr/bin/python3", "apt-get install python3-slixmpp")
	s := server.Test(t, server.Parlance)
	host, port, err := net.SplitHostPort(s.C2S)
	if err != nil {
		t.Fatal(err)
	}
	program(t, []string{"list", "listed_to_nobody_else", "refused", "add_user", "add_user_twice", "bad_input", "login", "count", "list_users",
		"announce", "cancel", "delete_user", "count_after"}, ".", nil, "/usr/bin/python3", "slix_admin.py", host, port, server.Domain, server.Password)
}
