package server

import (
	"net"
	"testing"
)

func TestCheck_files(t *testing.T) {
	s3 := func(c *Config) {
		c.Files.Store = "s3"
		c.Files.S3 = S3{Endpoint: "s3.example.com", Bucket: "parlance", AccessKey: "a", SecretKey: "s"}
	}
	for _, tt := range []struct {
		key string // of the only problem; "" if there is none
		set func(*Config)
	}{
		{"", s3},
		{"", func(c *Config) { c.Files.URL = "https://chat.example.com:8443" }},
		{"files.url", func(c *Config) { c.Files.URL = "http://chat.example.com" }},
		{"files.url", func(c *Config) { c.Files.URL = "https://chat.example.com/files" }},
		{"files.url", func(c *Config) { c.Files.URL = "chat.example.com" }},
		{"files.max_size", func(c *Config) { c.Files.MaxSize = 10 }},
		{"files.max_size", func(c *Config) { s3(c); c.Files.MaxSize = 6 * GiB }},
		{"files.per_day", func(c *Config) { c.Files.PerDay = 0 }},
		{"files.total", func(c *Config) { c.Files.Total = 0 }},
		{"files.files_per_day", func(c *Config) { c.Files.FilesPerDay = 0 }},
		{"files.thumbnail_pixels", func(c *Config) { c.Files.ThumbnailPixels = 1 << 30 }},
		{"files.thumbnail_workers", func(c *Config) { c.Files.ThumbnailWorkers = 0 }},
		{"files.store", func(c *Config) { c.Files.Store = "tape" }},
		{"files.s3.endpoint", func(c *Config) { s3(c); c.Files.S3.Endpoint = "https://s3.example.com" }},
		{"files.s3.bucket", func(c *Config) { s3(c); c.Files.S3.Bucket = "" }},
		{"files.s3.bucket", func(c *Config) { s3(c); c.Files.S3.Bucket = "b" }},
		{"files.s3.secret_key", func(c *Config) { s3(c); c.Files.S3.SecretKey = "" }},
		{"files.s3.plaintext", func(c *Config) { s3(c); c.Files.S3.Plaintext = true }},
		{"", func(c *Config) { s3(c); c.Files.S3.Plaintext, c.Files.S3.Endpoint = true, "127.0.0.1:9000" }},
	} {
		c := Default()
		tt.set(c)
		p := c.Check()
		if tt.key == "" && len(p) != 0 || tt.key != "" && (len(p) != 1 || p[0].Key != tt.key) {
			t.Errorf("%q: %v", tt.key, p)
		}
	}
}

func TestBaseURL_whereFilesAreFound(t *testing.T) {
	for _, tt := range []struct{ addr, want string }{
		{"0.0.0.0:8443", "https://example.com:8443"}, {"[::]:443", "https://example.com"}, {"192.0.2.7:443", "https://example.com"},
		{"127.0.0.1:1234", "https://127.0.0.1:1234"}, {"[::1]:1234", "https://[::1]:1234"},
	} {
		at, err := net.ResolveTCPAddr("tcp", tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := baseURL("example.com", at); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.addr, got, tt.want)
		}
	}
	c := &core{cfg: Default()}
	c.cfg.Files.URL = "https://chat.example.com"
	c.reachable(nil)
	if got := c.base("acme.test"); got != "https://chat.example.com" {
		t.Errorf("%s", got)
	}
}
