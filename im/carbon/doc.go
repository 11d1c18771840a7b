// Package carbon switches message carbons on and off for a session (XEP-0280
// 1.0.1). Which messages are copied is planned in im/deliver, the copies are
// made in im/route.
//
// It owns no table, starts no goroutine and holds no lock. im/deliver calls the
// handlers. It does not copy anything itself.
package carbon
