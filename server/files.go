package server

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im/file"
	"github.com/parlance-im/parlance/im/file/picture"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// Files says what people may upload and where it is kept (XEP-0363).
type Files struct {
	URL              string   `toml:"url" doc:"Where people reach listen.https, like \"https://chat.example.com\": it stands in the address of every file. Empty: https://DOMAIN with the port of the first address of listen.https; if that is loopback, the address itself."`
	MaxSize          Size     `toml:"max_size" host:"yes" doc:"One file. It is announced to clients."`
	PerDay           Size     `toml:"per_day" host:"yes" doc:"What one account may upload in 24 hours."`
	FilesPerDay      int      `toml:"files_per_day" host:"yes" doc:"The same in files."`
	Total            Size     `toml:"total" host:"yes" doc:"What one account may have uploaded in all."`
	Keep             Duration `toml:"keep" doc:"Files of messages are removed when they are older. \"0s\": never, they are part of the record. Held files and those of profiles stay in any case."`
	StripMetadata    bool     `toml:"strip_metadata" doc:"Remove from JPEG, PNG and WebP where, when and with what they were made. The picture itself is not changed; its bytes are, so that a hash the sender made of the original no longer fits."`
	ThumbnailPixels  int      `toml:"thumbnail_pixels" doc:"Pictures with more pixels get no thumbnail."`
	ThumbnailWorkers int      `toml:"thumbnail_workers" doc:"Thumbnails made at a time."`
	Store            string   `toml:"store" doc:"\"disk\" (DATA/files) or \"s3\" (below)."`
	S3               S3       `toml:"s3"`
}

// S3 is a bucket that speaks Amazon's protocol.
type S3 struct {
	Endpoint  string `toml:"endpoint" doc:"Host or host:port, without https://."`
	Bucket    string `toml:"bucket" doc:"It must be there. Nobody but the server needs to get at it."`
	Region    string `toml:"region" doc:"Empty: us-east-1, or what the service says."`
	Prefix    string `toml:"prefix" doc:"Before the name of every object, like \"parlance/\"."`
	AccessKey string `toml:"access_key" doc:"Who the server is there."`
	SecretKey string `toml:"secret_key" doc:"Its secret. Keep this file to yourself (mode 0600)."`
	Plaintext bool   `toml:"plaintext" doc:"Without TLS. Refused unless the endpoint is loopback."`
}

func defaultFiles() Files {
	l := file.DefaultLimits()
	return Files{MaxSize: Size(l.Size), PerDay: Size(l.PerDay), FilesPerDay: l.FilesPerDay, Total: Size(l.Total),
		StripMetadata: true, ThumbnailPixels: 25_000_000, ThumbnailWorkers: 2, Store: "disk"}
}

func (c *Config) checkFiles(p *Problems) {
	f := c.Files
	if f.URL != "" {
		u, err := url.Parse(f.URL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			p.add("files.url", "%q is no such address: write it like \"https://chat.example.com\" or \"https://chat.example.com:8443\"", f.URL)
		}
	}
	for _, s := range []struct {
		key string
		v   Size
	}{{"files.max_size", f.MaxSize}, {"files.per_day", f.PerDay}, {"files.total", f.Total}} {
		if s.v < 1*KiB || s.v > 1<<20*GiB {
			p.add(s.key, "%s is out of range: from %s to %s", s.v, 1*KiB, 1<<20*GiB)
		}
	}
	if f.Store == "s3" && f.MaxSize > 5*GiB {
		p.add("files.max_size", "%s is more than S3 takes in one request: at most %s", f.MaxSize, 5*GiB)
	}
	between(p, "files.files_per_day", f.FilesPerDay, 1, 1_000_000)
	between(p, "files.thumbnail_pixels", f.ThumbnailPixels, 10_000, 100_000_000)
	between(p, "files.thumbnail_workers", f.ThumbnailWorkers, 1, 64)
	oneOf(p, "files.store", f.Store, "disk", "s3")
	if f.Store == "s3" {
		c.checkS3(p)
	}
}

func (c *Config) checkS3(p *Problems) {
	s := c.Files.S3
	if s.Endpoint == "" || strings.ContainsAny(s.Endpoint, "/ ") {
		p.add("files.s3.endpoint", "%q is no host: write it like \"s3.example.com\" or \"127.0.0.1:9000\"", s.Endpoint)
	}
	for _, e := range []struct{ key, v string }{
		{"files.s3.bucket", s.Bucket}, {"files.s3.access_key", s.AccessKey}, {"files.s3.secret_key", s.SecretKey},
	} {
		if e.v == "" {
			p.add(e.key, "must not be empty when store is \"s3\"")
		}
	}
	if n := len(s.Bucket); n != 0 && (n < 3 || n > 63) {
		p.add("files.s3.bucket", "%q is no name of a bucket: they have 3 to 63 characters", s.Bucket)
	}
	if s.Plaintext {
		host := s.Endpoint
		if !strings.Contains(host, ":") {
			host += ":80"
		}
		if !Loopback(host) {
			p.add("files.s3.plaintext", "files would cross the network readable: %q is not loopback", s.Endpoint)
		}
	}
}

// uploads says whether anybody can upload: over the HTTPS port or not at all.
func (c *Config) uploads() bool { return len(c.Listen.HTTPS) > 0 }

// Bucket is where files are kept; nil: on disk.
func (c *Config) Bucket() *file.S3 {
	if c.Files.Store != "s3" {
		return nil
	}
	s := c.Files.S3
	return &file.S3{Endpoint: s.Endpoint, Bucket: s.Bucket, Region: s.Region, Prefix: s.Prefix,
		AccessKey: s.AccessKey, SecretKey: s.SecretKey, Plain: s.Plaintext}
}

// openFiles opens the store of files.
func (c *core) openFiles(ctx context.Context) (err error) {
	if !c.cfg.uploads() {
		return nil
	}
	f := c.cfg.Files
	l := file.DefaultLimits()
	l.Size, l.PerDay, l.FilesPerDay, l.Total = f.MaxSize.Bytes(), f.PerDay.Bytes(), f.FilesPerDay, f.Total.Bytes()
	conf := file.Config{DB: c.db, Dir: filepath.Join(c.cfg.Data, "files"), Limits: l, LimitsOf: fileLimits(c.hosts, l), Keep: f.Keep.D(), Strip: f.StripMetadata,
		Pictures: picture.Limits{Pixels: int64(f.ThumbnailPixels), Workers: int64(f.ThumbnailWorkers)},
		Active: func(ctx context.Context, who jid.JID) (bool, error) {
			if !c.local(who.Domain()) { // its host is gone
				return false, nil
			}
			return c.accounts.Active(ctx, who)
		}, Now: time.Now, Log: c.log}
	conf.S3 = c.cfg.Bucket()
	c.files, err = file.Open(ctx, conf)
	return err
}

// fileLimits are those of an account's host.
func fileLimits(h *hosts, l file.Limits) func(jid.JID) file.Limits {
	return func(owner jid.JID) file.Limits {
		l, f := l, h.config(owner.Domain()).Files
		l.Size, l.PerDay, l.FilesPerDay, l.Total = f.MaxSize.Bytes(), f.PerDay.Bytes(), f.FilesPerDay, f.Total.Bytes()
		return l
	}
}

func (c *core) closeFiles() error {
	if c.files == nil {
		return nil
	}
	return c.files.Close()
}

// base is the address a host's people find files at.
func (c *core) base(domain string) string {
	switch at := c.https.Load(); {
	case c.cfg.Files.URL != "":
		return c.cfg.Files.URL
	case at != nil:
		return baseURL(domain, *at)
	}
	return "https://" + domain
}

// reachable notes where the HTTPS port is, when it is open.
func (c *core) reachable(open []listener) {
	for _, l := range open {
		if at := l.ln.Addr(); l.kind == "http" && c.https.CompareAndSwap(nil, &at) {
			return
		}
	}
}

func baseURL(domain string, at net.Addr) string {
	a, err := netip.ParseAddrPort(at.String())
	switch {
	case err != nil:
		return "https://" + domain
	case a.Addr().Unmap().IsLoopback():
		return "https://" + a.String()
	case a.Port() == 443:
		return "https://" + domain
	}
	_, port, _ := net.SplitHostPort(at.String()) // it was read above
	return "https://" + net.JoinHostPort(domain, port)
}
