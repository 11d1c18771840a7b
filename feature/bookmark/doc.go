// Package bookmark makes one list of the three ways to keep bookmarks: an item
// per room (XEP-0402 1.2.0), one element in a pubsub node (XEP-0048 1.2) and the
// same element in private XML (XEP-0049).
//
// Rooms are kept in the node urn:xmpp:bookmarks:1. The node storage:bookmarks
// holds the old element, web addresses included, and is what private XML shows.
// Whichever is written, Convert brings the other up to date in the same
// transaction (XEP-0402 §5.3); what did not change is not written again. A node
// its owner has opened to others takes no part: nothing goes there by itself.
//
// It owns no table, starts no goroutine and holds no lock. im/pubsub calls
// Convert, feature/private reads and writes through Private. It does not join rooms.
package bookmark
