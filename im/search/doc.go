// Package search finds messages by what they say (XEP-0431): the words of a message, the index that says
// which records have a word, and what a person's query means.
//
// The log is cut into blocks of 8192 positions. Of a block that is full the index keeps each word with the
// records it is in, a few kilobytes of sorted, prefixed words to a row (pack.go), beside whose archives and
// conversations the records belong to. Nothing is kept of the last block, which is still growing: who asks reads it,
// so that a message is found as soon as it is archived. What the index names are candidates; a message
// is an answer if its text, read again, has the words where the query wants them (Query.Matches).
// docs/decisions/0016 says why this and neither FTS5 nor PostgreSQL's text search.
//
// Words are folded: compatibility forms, case and the accents of Latin, Greek and Cyrillic letters do not count.
// Scripts written without spaces (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) are taken two
// characters at a time (words.go).
//
// Specifications: XEP-0431 0.2.0, XEP-0428 (what is only fallback is not searched).
//
// Tables: word, word_block. No goroutines, no locks: im/archive calls it, within its own transactions and
// indexer (im/archive/search.go). It does not know who may see what.
package search
