package upload

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/im/file"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// Config is what the feature stands on.
type Config struct {
	Files *file.Store
	// Base is where people of a host reach the HTTPS port: "https://chat.example.com:8443".
	Base func(domain string) string
	Keep time.Duration // how long files are kept; 0: for ever
	Now  func() time.Time
	Log  *slog.Logger
}

type upload struct{ Config }

// Feature is XEP-0363.
func Feature(c Config) im.Feature {
	u := &upload{c}
	f := im.Feature{
		Name: "upload",
		Specs: []im.Spec{
			{ID: "XEP-0363", Version: "1.2.0", Status: "complete", Note: "purpose permanent where files are kept for ever"},
			{ID: "XEP-0264", Version: "0.4.2", Status: "partial", Note: "thumbnails of uploaded pictures to point to; Jingle is between clients"},
			{ID: "XEP-0446", Version: "0.2.0", Status: "complete", Note: "carried"},
			{ID: "XEP-0447", Version: "0.3.1", Status: "complete", Note: "carried"},
		},
		HostFeatures: []string{space},
		Identities:   []im.Identity{{Category: "store", Type: "file", Name: "HTTP File Upload"}}, // XEP-0363 §3
		IQ:           []im.Route{{Scope: im.ToHost, Type: stanza.Get, Space: space, Local: "request", Handle: u.slot}},
	}
	for _, p := range u.purposes() {
		f.HostFeatures = append(f.HostFeatures, spacePurpose+"#"+string(p))
	}
	for _, r := range []struct {
		pattern string
		handle  http.HandlerFunc
	}{
		{"PUT /upload/{slot}/{name}", u.put},
		{"OPTIONS /upload/{slot}/{name}", preflight},
		{"GET /file/{id}/{name}", u.get}, // and HEAD
		{"OPTIONS /file/{id}/{name}", preflight},
		{"GET /file/{id}/{name}/thumbnail", u.thumbnail},
		{"OPTIONS /file/{id}/{name}/thumbnail", preflight},
		{"/upload/", nothing},
		{"/file/", nothing},
	} {
		f.HTTP = append(f.HTTP, im.HTTPRoute{Pattern: r.pattern, Handler: r.handle, Long: true, Public: true})
	}
	if c.Files != nil {
		f.Start = c.Files.Run
	}
	return f
}

// purposes are those that can be kept: "permanent" is no promise where files
// are removed.
func (u *upload) purposes() []file.Purpose {
	p := []file.Purpose{file.ForMessage, file.ForProfile, file.ForEphemeral}
	if u.Keep == 0 {
		p = append(p, file.ForEver)
	}
	return p
}
