// Package time tells the server's time (XEP-0202 2.0), written as XEP-0082
// demands.
//
// It owns no table, starts no goroutine and holds no lock. im/deliver calls the
// handler. The clock is injected; it does not check or set it.
package time
