package server

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// Profiles show addresses, secrets in memory and what everybody does: only the
// admin socket has them, whatever a library registers with the default mux.
func TestProfiles_areOnNoPort(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	r := demo(t, t.TempDir())
	tr := &http.Transport{TLSClientConfig: r.tlsConfig("acme.test")}
	client := &http.Client{Transport: tr, Timeout: soon}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/vars", "/metrics"} {
		res, err := client.Get("https://" + r.wait(`listening http (\S+)`) + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		for _, inside := range []string{"goroutine profile", "full goroutine stack dump", "cmdline", "server.test", "go_goroutines"} {
			if strings.Contains(string(body), inside) {
				t.Errorf("GET %s on the web port: %s has %q", path, res.Status, inside)
			}
		}
	}
	tr.CloseIdleConnections()
	r.stop()
}
