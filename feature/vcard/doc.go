// Package vcard keeps each account's vCard (XEP-0054 1.2, vcard-temp) and shows
// it to anyone of the server who asks.
//
// Tables: vcard. It starts no goroutine and holds no lock. im/deliver calls the
// handlers. It stores the card as it was written and does not look inside, but for
// the picture, which its Photos keep.
package vcard
