// Package device lets people see and revoke the devices they stay signed in on:
// two ad-hoc commands (XEP-0050 1.3), so that any client can. A device is a client
// with a token (XEP-0484) or a browser with a cookie.
//
// Everybody does it for their own account alone; parlance device does it for an
// administrator. Revoking ends the device's sessions (HARDENING A12).
//
// Table: none; tokens are im/account's. It starts no goroutine and has no lock.
// Called by feature/adhoc, which runs the commands; server lists them. It does not
// end sessions itself (account.Devices.OnRevoke tells who does), and does not change
// passwords.
package device
