// Package private keeps elements for their owner alone (XEP-0049 1.2).
//
// Tables: private_xml. What is kept elsewhere in another form (bookmarks, in
// pubsub) is a Mount, given at the start. It starts no goroutine and holds no
// lock. im/deliver calls the handlers. It does not look into what it keeps.
package private
