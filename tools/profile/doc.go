// Command profile says where the server's time goes: it lets the bench write
// messages at a fixed rate, and then log people in, takes CPU and allocation
// profiles of the server by `parlance profile` meanwhile, sorts every sample by
// verb (of a login: by step) and by kind, and writes docs/where-time-goes.md.
//
// Specs: none. Tables: none.
//
// Goroutines: one for each of the two profiles; it waits for both. Locks: none.
//
// Called by: people, through make profile.
//
// It does not know the bench: it runs it as a command with a temporary folder
// of its own, finds the server's admin socket there, and sees by the metrics
// that messages or logins flow. Functions are sorted by their names: what the rules do
// not know is shown as "other", so that a rename is noticed.
package main
