// Package people finds the people of a host by name, address or e-mail (XEP-0055 1.3).
//
// It looks through the host's accounts and what their cards (XEP-0054) say, which anybody
// of the host may read one by one anyway. It answers accounts of the same host alone,
// never guests or strangers, and nothing that names nobody in particular: a word of two
// letters at least is needed, and an answer is a page (XEP-0059). HARDENING A6 is about
// those who have not logged in: they can't ask.
//
// It owns no table, starts no goroutine and holds no lock. Searches take turns on a channel, so that
// they use one core at most; nothing else is held meanwhile. im/deliver calls the handlers. It does not look
// at cards in nodes (XEP-0292) or at other hosts.
package people
