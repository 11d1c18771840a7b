// Package picture reads pictures other people send: it takes out of JPEG, PNG
// and WebP what tells where, when and with what they were made, without
// touching a pixel, and makes thumbnails within bounds of memory and workers.
//
// Specifications: ISO/IEC 10918-1 (JPEG), the W3C's PNG, the WebP container,
// the orientation tag of Exif; none of ours.
//
// Tables: none. Goroutines: none; a Maker bounds how many of its callers'
// work at a time. Locks: none beyond the semaphores of a Maker.
//
// Called by: im/file only.
//
// It does not read HEIC, AVIF or films, trusts no length it has not compared
// with the bytes that are there, and keeps a picture as it is when it can't
// follow its structure (the caller does).
package picture
