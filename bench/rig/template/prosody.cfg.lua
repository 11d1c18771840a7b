run_as_root = true
daemonize = false
pidfile = "{{.Dir}}/prosody.pid"
data_path = "{{.Dir}}/data"
log = { warn = "{{.Dir}}/prosody.log" }
network_backend = "epoll"
interfaces = { "127.0.0.1" }
c2s_ports = { }
c2s_direct_tls_ports = { {{.Port}} }
s2s_ports = { }
http_ports = { }
https_ports = { }
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "time", "version", "vcard_legacy",
  "blocklist", "carbons", "smacks", "offline", "csi", "csi_simple"{{if .Archive}}, "mam"{{end}} }
modules_disabled = { "s2s" }
authentication = "internal_hashed"
storage = { {{if .SQL}}archive = "sql";{{end}} }
default_storage = "internal"
{{- if .SQL}}
sql = { driver = "SQLite3", database = "{{.Dir}}/data/prosody.sqlite" }
{{- end}}
archive_expires_after = "never"
default_archive_policy = true
certificates = "{{.Dir}}"
ssl = { certificate = "{{.Dir}}/cert.pem", key = "{{.Dir}}/key.pem" }
VirtualHost "{{.Domain}}"
Component "conference.{{.Domain}}" "muc"
  restrict_room_creation = false
