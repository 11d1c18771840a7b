package server

import (
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/im/presence"
)

// Config is everything an operator can set. The tags are the documentation:
// "doc" is what `parlance config example` prints above the key, "live" marks a
// key that a reload may change while the server runs (every other one needs a
// restart), "host" one that can be set differently on one host (parlance host set).
type Config struct {
	Domain    string   `toml:"domain" doc:"The part behind the @ in your people's addresses. It can't be changed later without new accounts. More domains beside it: parlance host add."`
	Name      string   `toml:"name" host:"yes" doc:"What the web client calls this place."`
	Operators []string `toml:"operators" doc:"Accounts that administer every host (parlance host). Those of the first one that are administrators also have what concerns the whole server: stopping it, and its black and white lists."`
	Data      string   `toml:"data" doc:"Folder for everything the server keeps. A relative path counts from this file's folder (without a file: from the working folder)."`
	Storage   Storage  `toml:"storage"`
	Listen    Listen   `toml:"listen"`
	TLS       TLS      `toml:"tls"`
	Login     Login    `toml:"login"`
	Files     Files    `toml:"files"`
	Limits    Limits   `toml:"limits"`
	Rooms     Rooms    `toml:"rooms"`
	Nodes     Nodes    `toml:"nodes"`
	People    People   `toml:"people"`
	Calls     Calls    `toml:"calls"`
	Log       Log      `toml:"log"`
	Contact   Contact  `toml:"contact"`
}

// Storage says where records, accounts and rosters are kept.
type Storage struct {
	DSN string `toml:"dsn" doc:"Empty: SQLite at DATA/parlance.db. \"sqlite:PATH\" for another file, \"postgres://user:password@host/database\" for PostgreSQL."`
}

// Listen holds the addresses; an empty list switches a listener off.
type Listen struct {
	C2S             []string `toml:"c2s" doc:"XMPP clients with STARTTLS (RFC 6120 §5)."`
	C2STLS          []string `toml:"c2s_tls" doc:"XMPP clients with TLS from the first byte (XEP-0368)."`
	HTTPS           []string `toml:"https" doc:"Web client, WebSocket (RFC 7395) and, chosen by ALPN \"xmpp-client\", any XMPP client too: with this alone a firewall needs one hole."`
	Metrics         []string `toml:"metrics" doc:"Numbers for Prometheus at /metrics, over plain HTTP and for everybody who gets there; 127.0.0.1:9105, for example. The admin socket has them too. Empty: off."`
	MetricsAnywhere bool     `toml:"metrics_anywhere" doc:"Allow addresses in metrics that are not loopback. They tell how many people are online and how much they write, not who."`
	Admin           string   `toml:"admin" doc:"Unix socket for parlance user and the like. Empty: DATA/admin.sock."`
}

// TLS holds the certificate of the domain.
type TLS struct {
	Cert       string `toml:"cert" live:"yes" host:"yes" doc:"PEM file with the certificate and its chain; must name the domain. Empty: one signed by an own authority is made in DATA (people must then trust DATA/ca.pem)."`
	Key        string `toml:"key" live:"yes" host:"yes" doc:"PEM file with its private key."`
	MinVersion string `toml:"min_version" doc:"Oldest TLS version spoken: \"1.2\" or \"1.3\"."`
}

// Login says how people prove who they are.
type Login struct {
	Mechanisms         []string `toml:"mechanisms" host:"yes" doc:"SASL mechanisms offered; -PLUS only with channel binding, PLAIN and OAUTHBEARER only under TLS. A SCRAM mechanism is left out while an account that may log in has no keys for its hash."`
	ScramIterations    int      `toml:"scram_iterations" doc:"PBKDF2 rounds of newly set passwords (XEP-0438: at least 10000)."`
	MinPassword        int      `toml:"min_password" host:"yes" doc:"Shortest password that can be set; 8 is the floor."`
	TokenLifetime      Duration `toml:"token_lifetime" doc:"How long a device that was let in once may log in with a token instead of the password (XEP-0484), counted from its last visit. 0s: never."`
	ClientCA           string   `toml:"client_ca" doc:"PEM file with the authorities whose certificates let people in (EXTERNAL): those who are named there as XMPP address, in the subjectAltName alone. Empty: none."`
	ClientCRL          string   `toml:"client_crl" doc:"PEM or DER file with the list of what they have revoked. It is read again when it changes; one that is out of date lets nobody in."`
	Guests             int      `toml:"guests" host:"yes" doc:"How many people without an account may be here at once (ANONYMOUS). They can write and chat, and change nothing; with their connection they are gone. 0: nobody."`
	Registration       string   `toml:"registration" host:"yes" doc:"Who may make an account by itself (XEP-0077): \"closed\": nobody; \"invited\": who has an invitation (XEP-0445); \"open\": everybody who gets here."`
	Invite             string   `toml:"invite" host:"yes" doc:"Who may invite: \"admins\" or \"everybody\" (XEP-0401)."`
	InviteLifetime     Duration `toml:"invite_lifetime" host:"yes" doc:"How long an invitation is good."`
	FailuresPerAccount int      `toml:"failures_per_account" doc:"Wrong passwords per account in 10 minutes before it must wait."`
	FailuresPerSource  int      `toml:"failures_per_source" doc:"Wrong passwords per client address in 10 minutes before it must wait."`
	Plaintext          bool     `toml:"plaintext" doc:"Allow login without TLS on listen.c2s. Refused unless every address there is loopback."`
}

// Limits bound what one client can cost. They are announced by XEP-0478 where it has a word for them.
type Limits struct {
	Negotiation         Duration `toml:"negotiation" doc:"Time a connection has from its first byte to a bound session."`
	TLSHandshake        Duration `toml:"tls_handshake" doc:"Time a TLS handshake may take."`
	PreAuthBytes        Size     `toml:"pre_auth_bytes" doc:"One element before login (RFC 6120 §13.12: at least 10000 bytes)."`
	PreAuthLoginBytes   Size     `toml:"pre_auth_login_bytes" doc:"One SASL auth or response element under TLS: tickets and tokens are long."`
	PreAuthMemory       Size     `toml:"pre_auth_memory" doc:"All connections that are not logged in together."`
	PreAuthElements     int      `toml:"pre_auth_elements" doc:"Elements before login."`
	PreAuthPerAddress   int      `toml:"pre_auth_per_address" doc:"Connections of one client address that are not logged in."`
	PreAuthConnections  int      `toml:"pre_auth_connections" doc:"Connections that are not logged in, all together."`
	StanzaBytes         Size     `toml:"stanza_bytes" host:"yes" doc:"One stanza of a client."`
	StanzaDepth         int      `toml:"stanza_depth" doc:"Elements within elements."`
	StanzaElements      int      `toml:"stanza_elements" doc:"Elements in one stanza."`
	StanzaAttributes    int      `toml:"stanza_attributes" doc:"Attributes of one element."`
	StanzaNamespaces    int      `toml:"stanza_namespaces" doc:"Namespace declarations in one stanza."`
	SessionsPerAccount  int      `toml:"sessions_per_account" doc:"Devices one person may have online at once."`
	UnackedStanzas      int      `toml:"unacked_stanzas" doc:"Stanzas kept for a client that has not acknowledged them (XEP-0198)."`
	UnackedBytes        Size     `toml:"unacked_bytes" doc:"Bytes of these held in memory. Messages that are in the archive are given back to it beyond 32 KiB and count 24 bytes each."`
	ResumeWindow        Duration `toml:"resume_window" doc:"How long a lost connection can be resumed (XEP-0198 §5)."`
	HibernatingSessions int      `toml:"hibernating_sessions" doc:"Lost connections of one account that are kept for resumption."`
	PresenceBytes       Size     `toml:"presence_bytes" doc:"What the presence of one account may come to in a second, to all who see it together; sixteen seconds' worth may go at once. What is more waits, and the last presence wins. 0: nothing is bounded."`
	PersonalNodes       int      `toml:"personal_nodes" doc:"Pubsub nodes of one account (XEP-0163)."`
	PersonalItems       int      `toml:"personal_items" doc:"Items of one such node."`
	PersonalItemBytes   Size     `toml:"personal_item_bytes" doc:"One item."`
	PersonalBytes       Size     `toml:"personal_bytes" doc:"All items of one account."`
}

// Nodes is the domain's own publish-subscribe service (XEP-0060).
type Nodes struct {
	Create bool `toml:"create" doc:"Everybody may make nodes at the domain's address (XEP-0060), for programs that publish to many. What people keep at their own address needs no setting."`
}

// Rooms is multi-user chat (XEP-0045).
type Rooms struct {
	Domain     string `toml:"domain" host:"yes" doc:"The address of the rooms' service. Empty: \"conference.\" before the domain. \"off\": there are no rooms."`
	Name       string `toml:"name" host:"yes" doc:"What clients call the service."`
	Create     bool   `toml:"create" host:"yes" doc:"Everybody with an address of the host may make rooms. If not: its administrators."`
	Known      bool   `toml:"known" host:"yes" doc:"Who is in a new room sees the others' addresses and may read who belongs to it, if its owner does not say otherwise."`
	Persistent bool   `toml:"persistent" host:"yes" doc:"Rooms are kept when nobody is in them, if their owner does not say otherwise."`
	Occupants  int    `toml:"occupants" host:"yes" doc:"Most people in one room at once; an owner may allow fewer."`
	History    int    `toml:"history" host:"yes" doc:"Most messages shown to somebody who enters; older ones are read from the room's archive."`
}

// Log says what is written to standard error.
type Log struct {
	Level  string `toml:"level" live:"yes" doc:"\"debug\", \"info\", \"warn\" or \"error\"."`
	Format string `toml:"format" doc:"\"text\" or \"json\"."`
}

// Contact tells where the people who run this server can be reached.
type Contact struct {
	Abuse    []string `toml:"abuse" host:"yes" doc:"Addresses that anybody may ask the server for (XEP-0157), as mailto:, xmpp: or https: links. This one: about spam and abuse."`
	Admin    []string `toml:"admin" host:"yes" doc:"Those who run the server."`
	Feedback []string `toml:"feedback" host:"yes" doc:"What people think of it."`
	Sales    []string `toml:"sales" host:"yes" doc:"Sales."`
	Security []string `toml:"security" host:"yes" doc:"Holes and incidents."`
	Support  []string `toml:"support" host:"yes" doc:"Help."`
	Status   []string `toml:"status" host:"yes" doc:"Where one sees whether the server works."`
}

// Default is what holds where the file says nothing, and all of it without a file.
func Default() *Config {
	return &Config{
		Domain:    "localhost",
		Name:      "Parlance",
		Operators: []string{},
		Data:      "parlance-data",
		Listen: Listen{
			C2S:     []string{":5222"},
			C2STLS:  []string{":5223"},
			HTTPS:   []string{":8443"},
			Metrics: []string{},
		},
		TLS: TLS{MinVersion: "1.2"},
		Login: Login{
			Mechanisms: []string{
				"EXTERNAL", "SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "OAUTHBEARER", "PLAIN",
			},
			TokenLifetime:      Duration(account.DefaultTokenLife),
			Registration:       "closed",
			Invite:             "admins",
			InviteLifetime:     Duration(7 * 24 * time.Hour),
			ScramIterations:    10000,
			MinPassword:        12,
			FailuresPerAccount: 20,
			FailuresPerSource:  60,
		},
		Files: defaultFiles(),
		Limits: Limits{
			Negotiation:         Duration(30 * time.Second),
			TLSHandshake:        Duration(10 * time.Second),
			PreAuthBytes:        10000,
			PreAuthLoginBytes:   64 * KiB,
			PreAuthMemory:       64 * MiB,
			PreAuthElements:     32,
			PreAuthPerAddress:   50,
			PreAuthConnections:  20000,
			StanzaBytes:         256 * KiB,
			StanzaDepth:         50,
			StanzaElements:      4096,
			StanzaAttributes:    64,
			StanzaNamespaces:    64,
			SessionsPerAccount:  20,
			UnackedStanzas:      500,
			UnackedBytes:        1 * MiB,
			ResumeWindow:        Duration(10 * time.Minute),
			HibernatingSessions: 10,
			PresenceBytes:       presence.DefaultRate,
			PersonalNodes:       500,
			PersonalItems:       5000,
			PersonalItemBytes:   192 * KiB,
			PersonalBytes:       32 * MiB,
		},
		People: People{Search: true},
		Calls:  Calls{Services: []string{}, Lifetime: Duration(24 * time.Hour)},
		Rooms:  Rooms{Name: "Rooms", Create: true, Occupants: 5000, History: 50},
		Log:    Log{Level: "info", Format: "text"},
		Contact: Contact{Abuse: []string{}, Admin: []string{}, Feedback: []string{}, Sales: []string{}, Security: []string{},
			Support: []string{}, Status: []string{}},
	}
}

// DSN is the storage's connection string with the default filled in.
func (c *Config) DSN() string {
	if c.Storage.DSN != "" {
		return c.Storage.DSN
	}
	return "sqlite:" + filepath.Join(c.Data, "parlance.db")
}

// RoomsDomain is the address of the rooms' service; empty if there is none.
func (c *Config) RoomsDomain() string {
	switch c.Rooms.Domain {
	case "off":
		return ""
	case "":
		return "conference." + c.Domain
	}
	return c.Rooms.Domain
}

// Witness is the file that says how far the archive reaches. It stands beside the folder's
// other files, whichever database holds the archive.
func (c *Config) Witness() string { return filepath.Join(c.Data, "witness") }

// dataName is what a person calls the data set; a connection string may hold a password.
func (c *Config) dataName() string {
	if file, ok := strings.CutPrefix(c.DSN(), "sqlite:"); ok {
		return file
	}
	return "the database of storage.dsn"
}

// AdminSocket is the path of the local admin socket.
func (c *Config) AdminSocket() string {
	if c.Listen.Admin != "" {
		return c.Listen.Admin
	}
	return filepath.Join(c.Data, "admin.sock")
}

// SelfMade says that no certificate is configured, so that the server makes its own.
func (c *Config) SelfMade() bool { return c.TLS.Cert == "" && c.TLS.Key == "" }

// LogLevel is log.level as slog knows it; info if it is none of ours (Check refuses that).
func (c *Config) LogLevel() slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return slog.LevelInfo
	}
	return l
}
