// Package vhost tries virtual hosts on the built binary over real connections:
// hosts are added, disabled, removed and purged by `parlance host` while people of
// other hosts chat; the same name on two hosts is two people in everything a client
// can keep; a host that was added is there after kill -9.
//
// Specifications: RFC 6120 §4.9.3.5 and §4.9.3.6, RFC 6121, XEP-0030, XEP-0045; HARDENING I10, X11.
//
// Processes: the server of each test, ended with it, its commands, and slixmpp. Goroutines: those of
// interop/client, and one per pair that chats, ended with its test. Locks and tables: none. Called by
// nobody: its tests are the runs. It does not look inside the server but for the archive of one that was stopped.
package vhost
