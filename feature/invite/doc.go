// Package invite makes invitations (XEP-0401 0.6.0): two commands (XEP-0050) that
// give a link, to be sent by mail or shown as a code.
//
// Everybody may invite somebody as a contact (XEP-0379); whether the link also
// makes an account is for the configuration to say. Administrators invite people
// to a name.
//
// Table: none; invitations are im/account's. It starts no goroutine and has no lock.
// Called by feature/adhoc, which runs the commands; server lists them.
//
// It sends nothing to anybody. Who opens an invitation's page (landing.go: HTML and CSS, no
// script, under the policy of edge/http) sees who invites and how to accept.
package invite
