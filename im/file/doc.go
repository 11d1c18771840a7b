// Package file keeps the files people send one another: slots, contents,
// quotas, the state that gates a download, thumbnails.
//
// Specifications: XEP-0363 1.2.0 (the domain's half: sizes, types, slots, the
// purposes; feature/upload speaks it), XEP-0447 and XEP-0446 need nothing of it.
//
// # A file's way
//
// Grant gives a slot, which counts to its owner's quotas at once. Receive takes
// the content: into a file of our own naming under tmp, through the removal of
// metadata, then by the hash of its bytes to its place. The row refers to the
// content before it is put and shows it after; so a crash at any point leaves
// at most a row that Open and Sweep clear away, never an orphan, never a file
// that can't be read. State (state.go) is the gate: only clean files are
// given out. Where nobody gives verdicts a file is clean when it is whole.
//
// Contents lie on disk in Config.Dir, or in S3; a file with the same bytes as
// another shares them. Nothing a client says becomes a path, and the folder is
// an os.Root (HARDENING H2).
//
// When an account is removed its files stay, as its messages do: they are part
// of the record. Who makes an account of the same name finds the old files
// counted.
//
// Tables: file, file_usage, file_loose. On disk: Config.Dir.
//
// Goroutines: none of its own; Run is one, and ends with its context.
//
// Locks: none; the store's writer serialises what must be one after another.
//
// Called by: feature/upload, server.
//
// It does not speak XMPP or HTTP, does not scan contents (Move takes the
// verdict of who does), and does not know which message a file belongs to.
package file
